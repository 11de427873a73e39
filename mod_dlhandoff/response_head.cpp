#include "mod_dlhandoff/response_head.hpp"

#include <algorithm>
#include <cctype>

namespace dlhandoff::httpd {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view whitespace = " \t";

bool equal_ignoring_case(std::string_view one, std::string_view other) noexcept {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t first = text.find_first_not_of(whitespace);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(whitespace) - first + 1);
}

/// Takes the next line off `text`, its CRLF included.
std::string_view take_line(std::string_view& text) noexcept {
    const std::size_t end = text.find(line_end);
    const std::size_t size = end == std::string_view::npos ? text.size() : end + line_end.size();
    const std::string_view line = text.substr(0, size);
    text.remove_prefix(size);
    return line;
}

bool is_field(std::string_view line, std::string_view name) noexcept {
    const std::size_t colon = line.find(':');
    return colon != std::string_view::npos && equal_ignoring_case(line.substr(0, colon), name);
}

/// Appends the options in a Connection field's line to a list, without those that this module decides about.
void keep_options(std::string_view line, std::string& options) {
    std::string_view value = line.substr(line.find(':') + 1);
    value.remove_suffix(line_end.size());
    while (!value.empty()) {
        const std::size_t comma = std::min(value.find(','), value.size());
        const std::string_view option = trimmed(value.substr(0, comma));
        value.remove_prefix(std::min(comma + 1, value.size()));
        if (option.empty() || equal_ignoring_case(option, "close") ||
            equal_ignoring_case(option, "keep-alive"))
            continue;
        options.append(option).append(", ");
    }
}

} // namespace

std::optional<std::size_t> head_size(std::string_view response) noexcept {
    // "HTTP/1.1 200", whatever follows.
    constexpr std::size_t shortest_status_line = 12;
    const std::size_t end = response.find("\r\n\r\n");
    if (end == std::string_view::npos || end < shortest_status_line || !response.starts_with("HTTP/1."))
        return std::nullopt;
    const auto is_digit = [&](std::size_t at) { return response[at] >= '0' && response[at] <= '9'; };
    if (!is_digit(7) || response[8] != ' ' || !is_digit(9) || !is_digit(10) || !is_digit(11))
        return std::nullopt;
    return end + 4;
}

std::string closing_head(std::string_view head) {
    std::string options;
    std::string_view fields = head;
    take_line(fields); // The status line may contain anything, a colon too.
    while (!fields.empty()) {
        const std::string_view line = take_line(fields);
        if (is_field(line, "Connection"))
            keep_options(line, options);
    }
    const std::string connection = "Connection: " + options + "close\r\n";

    std::string closing;
    closing.reserve(head.size() + connection.size());
    bool said = false;
    const auto say = [&] {
        if (!said)
            closing += connection;
        said = true;
    };
    closing += take_line(head);
    while (!head.empty()) {
        const std::string_view line = take_line(head);
        if (is_field(line, "Connection"))
            say();
        else if (line == line_end) {
            say();
            closing += line;
        } else if (!is_field(line, "Keep-Alive"))
            closing += line;
    }
    return closing;
}

} // namespace dlhandoff::httpd
