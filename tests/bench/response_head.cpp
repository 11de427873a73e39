#include "tests/bench/response_head.hpp"

#include <charconv>
#include <stdexcept>
#include <string>
#include <strings.h>

namespace dlhandoff::bench {
namespace {

bool same_word(std::string_view one, std::string_view other) {
    return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

template <class Number>
bool read_number(std::string_view text, Number& into) {
    return std::from_chars(text.data(), text.data() + text.size(), into).ec == std::errc();
}

std::string_view value_of(std::string_view line, std::size_t colon) {
    line.remove_prefix(colon + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
}

} // namespace

std::optional<response_head> parse_head(std::string_view text) {
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos)
        return std::nullopt;
    response_head head;
    head.size = end + 4;
    if (!text.starts_with("HTTP/1.") || !read_number(text.substr(text.find(' ') + 1), head.status))
        throw std::runtime_error("not a response: " + std::string(text.substr(0, end)));
    bool has_length = false;
    std::string_view lines = text.substr(0, end + 2);
    for (lines.remove_prefix(lines.find("\r\n") + 2); !lines.empty();) {
        const std::string_view line = lines.substr(0, lines.find("\r\n"));
        lines.remove_prefix(line.size() + 2);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos)
            continue;
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = value_of(line, colon);
        if (same_word(name, "content-length"))
            has_length = read_number(value, head.content_length);
        else if (same_word(name, "connection"))
            head.closes = same_word(value, "close");
    }
    if (!has_length)
        throw std::runtime_error("a response without a length: " + std::string(text.substr(0, end)));
    return head;
}

} // namespace dlhandoff::bench
