#include "shared/busy_response.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace dlhandoff {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view body = "The server has no room for this download now. Please try again later.\n";

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool begins_with(std::string_view line, std::string_view lower_case_name) noexcept {
    return line.size() >= lower_case_name.size() &&
           std::equal(lower_case_name.begin(), lower_case_name.end(), line.begin(),
                      [](char wanted, char found) { return wanted == lower(found); });
}

bool stays(std::string_view line) noexcept {
    constexpr std::array<std::string_view, 5> names{
        "server:", "connection:", "keep-alive:", "strict-transport-security:", "access-control-"};
    return std::ranges::any_of(names, [&](std::string_view name) { return begins_with(line, name); });
}

/// IMF-fixdate (RFC 9110, 5.6.7). Not strftime(3), whose names depend on the locale.
std::string date(std::chrono::system_clock::time_point now) {
    constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char rest[40];
    const std::size_t size = std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT", &parts);
    char day[8];
    const std::size_t day_size = std::strftime(day, sizeof day, ", %d ", &parts);
    return std::string(days[static_cast<std::size_t>(parts.tm_wday)])
        .append(day, day_size)
        .append(months[static_cast<std::size_t>(parts.tm_mon)])
        .append(rest, size);
}

} // namespace

std::string busy_response(std::string_view instead_of, std::chrono::system_clock::time_point now,
                          std::chrono::milliseconds retry_after) {
    const auto seconds =
        std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(retry_after).count());
    std::string response = "HTTP/1.1 503 Service Unavailable\r\nDate: " + date(now) +
                           "\r\nRetry-After: " + std::to_string(seconds) + "\r\n";
    // Skips the status line, then looks at every field up to the empty line.
    for (std::size_t at = instead_of.find(line_end); at != instead_of.npos;) {
        const std::size_t begin = at + line_end.size();
        at = instead_of.find(line_end, begin);
        if (at == instead_of.npos || at == begin)
            break;
        const std::string_view line = instead_of.substr(begin, at + line_end.size() - begin);
        if (stays(line))
            response += line;
    }
    response.append("Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ")
        .append(std::to_string(body.size()))
        .append("\r\n\r\n")
        .append(body);
    return response;
}

} // namespace dlhandoff
