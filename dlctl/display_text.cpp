#include "dlctl/display_text.hpp"

#include <algorithm>
#include <cwchar>
#include <locale.h>

namespace dlhandoff::dlctl {
namespace {

/// For wcwidth(3), on this thread: the locale C.UTF-8, whatever the user's is; where it isn't installed, only
/// ASCII is known.
class utf8_locale {
  public:
    utf8_locale() {
        static const locale_t made = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        if (made != nullptr)
            before_ = ::uselocale(made);
    }
    ~utf8_locale() {
        if (before_ != nullptr)
            ::uselocale(before_);
    }
    utf8_locale(const utf8_locale&) = delete;
    utf8_locale& operator=(const utf8_locale&) = delete;

  private:
    locale_t before_ = nullptr;
};

struct character {
    std::size_t bytes = 1;
    std::size_t columns = 0; ///< 0: not to be shown as it is
};

/// The first character of text that is not empty; a byte that begins no valid one is one by itself (RFC
/// 3629). A utf8_locale must be there.
character first_of(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(0);
    if (lead < 0x80)
        return {1, lead >= 0x20 && lead < 0x7f ? std::size_t{1} : std::size_t{0}};
    const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes)
        return {};
    unsigned long code = lead & (0xffU >> (bytes + 1));
    for (std::size_t at = 1; at < bytes; ++at) {
        if ((byte(at) & 0xc0) != 0x80)
            return {};
        code = code << 6 | (byte(at) & 0x3fU);
    }
    constexpr unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return {};
    const int columns = ::wcwidth(static_cast<wchar_t>(code));
    return {bytes, columns > 0 ? static_cast<std::size_t>(columns) : 0};
}

constexpr std::string_view dots = "..";

} // namespace

std::string harmless(std::string_view bytes) {
    const utf8_locale here;
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    while (!bytes.empty()) {
        const character first = first_of(bytes);
        for (const char each : bytes.substr(0, first.bytes)) {
            const auto number = static_cast<unsigned char>(each);
            if (first.columns > 0)
                text += each;
            else
                text.append("\\x").append({digits[number >> 4], digits[number & 15]});
        }
        bytes.remove_prefix(first.bytes);
    }
    return text;
}

std::size_t columns_of(std::string_view text) {
    const utf8_locale here;
    std::size_t sum = 0;
    while (!text.empty()) {
        const character first = first_of(text);
        sum += first.columns;
        text.remove_prefix(first.bytes);
    }
    return sum;
}

std::string cut(std::string_view text, std::size_t columns) {
    if (columns_of(text) <= columns)
        return std::string(text);
    const utf8_locale here;
    const std::size_t room = columns - std::min(columns, dots.size());
    std::size_t taken = 0;
    std::size_t bytes = 0;
    for (;;) { // ends: the text is wider
        const character first = first_of(text.substr(bytes));
        if (taken + first.columns > room)
            break;
        taken += first.columns;
        bytes += first.bytes;
    }
    return std::string(text.substr(0, bytes)).append(dots.substr(0, columns));
}

std::string cut_beginning(std::string_view text, std::size_t columns) {
    std::size_t width = columns_of(text);
    if (width <= columns)
        return std::string(text);
    const utf8_locale here;
    const std::size_t room = columns - std::min(columns, dots.size());
    while (width > room) {
        const character first = first_of(text);
        width -= first.columns;
        text.remove_prefix(first.bytes);
    }
    return std::string(dots.substr(0, columns)).append(text);
}

} // namespace dlhandoff::dlctl
