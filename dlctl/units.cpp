#include "dlctl/units.hpp"

#include <cstdio>

namespace dlhandoff::dlctl {

std::string size_text(std::uint64_t bytes) {
    if (bytes < 1000)
        return std::to_string(bytes) + " B";
    static constexpr const char* units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = static_cast<double>(bytes) / 1000;
    std::size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < std::size(units); ++unit)
        value /= 1000;
    char text[32];
    std::snprintf(text, sizeof text, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

std::string rate_text(std::uint64_t bytes_per_second) {
    return size_text(bytes_per_second) + "/s";
}

std::string time_text(std::optional<std::uint64_t> seconds) {
    if (!seconds)
        return "-";
    const auto minutes = static_cast<unsigned>(*seconds / 60 % 60);
    const auto rest = static_cast<unsigned>(*seconds % 60);
    const std::uint64_t hours = *seconds / 3600;
    char text[64];
    if (hours == 0)
        std::snprintf(text, sizeof text, "%u:%02u", minutes, rest);
    else if (hours < 24)
        std::snprintf(text, sizeof text, "%u:%02u:%02u", static_cast<unsigned>(hours), minutes, rest);
    else
        std::snprintf(text, sizeof text, "%llu d %02u:%02u", static_cast<unsigned long long>(hours / 24),
                      static_cast<unsigned>(hours % 24), minutes);
    return text;
}

} // namespace dlhandoff::dlctl
