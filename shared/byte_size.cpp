#include "shared/byte_size.hpp"

#include <charconv>
#include <limits>

namespace dlhandoff {

std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{})
        return std::nullopt;
    unsigned shift = 0;
    if (rest != end) {
        if (rest + 1 != end)
            return std::nullopt;
        switch (*rest) {
        case 'K':
        case 'k':
            shift = 10;
            break;
        case 'M':
        case 'm':
            shift = 20;
            break;
        case 'G':
        case 'g':
            shift = 30;
            break;
        default:
            return std::nullopt;
        }
    }
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    if (number > most >> shift)
        return std::nullopt;
    return number << shift;
}

} // namespace dlhandoff
