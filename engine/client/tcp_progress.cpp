#include "engine/client/tcp_progress.hpp"

#include <algorithm>
#include <cstddef>
#include <linux/sockios.h>
#include <linux/tcp.h> // its tcp_info has tcpi_bytes_acked; <netinet/tcp.h> has not, and the two exclude each other
#include <netinet/in.h>
#include <optional>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

constexpr int state_established = 1; // TCP_ESTABLISHED and so on of <net/tcp_states.h>, kernel ABI
constexpr int state_close = 7;
constexpr int state_close_wait = 8;

std::optional<tcp_info> info_of(int socket) noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return std::nullopt;
    return info;
}

std::uint64_t acknowledged(int socket) noexcept {
    const auto info = info_of(socket);
    return info ? info->tcpi_bytes_acked : 0;
}

/// Everything that was ever written to the socket.
std::uint64_t all_written(int socket) noexcept {
    // Nothing is under way on most connections, and nobody writes meanwhile.
    if (tcp_progress::unacknowledged(socket) == 0)
        return acknowledged(socket);
    // An acknowledgement between the two calls would be missed or counted twice: repeat until there was none.
    std::uint64_t acked = acknowledged(socket);
    for (int tries = 0;; ++tries) {
        const std::uint64_t sum = acked + tcp_progress::unacknowledged(socket);
        const std::uint64_t again = acknowledged(socket);
        if (again == acked || tries == 100)
            return sum;
        acked = again;
    }
}

} // namespace

tcp_progress::tcp_progress(int socket) noexcept : written_before_(all_written(socket)) {}

std::uint64_t tcp_progress::written(int socket) const noexcept {
    return all_written(socket) - written_before_;
}

std::uint64_t tcp_progress::unacknowledged(int socket) noexcept {
    int queued = 0;
    ::ioctl(socket, SIOCOUTQ, &queued);
    return static_cast<std::uint64_t>(std::max(queued, 0));
}

std::uint64_t tcp_progress::delivered(int socket, std::uint64_t sent) const noexcept {
    const std::uint64_t acked = acknowledged(socket);
    // The FIN counts as a byte once it is acknowledged.
    return acked > written_before_ ? std::min(acked - written_before_, sent) : 0;
}

std::uint64_t tcp_progress::transmitted(int socket, std::uint64_t sent) const noexcept {
    const std::uint64_t given = written(socket);
    return std::min(given - std::min(given, unsent_bytes(socket)), sent);
}

std::uint64_t unsent_bytes(int socket) noexcept {
    int unsent = 0;
    ::ioctl(socket, SIOCOUTQNSD, &unsent);
    return static_cast<std::uint64_t>(std::max(unsent, 0));
}

bool is_tcp(int socket) noexcept {
    int protocol = 0;
    socklen_t size = sizeof protocol;
    return ::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_TCP;
}

bool is_connected(int socket) noexcept {
    const auto info = info_of(socket);
    return info && (info->tcpi_state == state_established || info->tcpi_state == state_close_wait);
}

bool is_over(int socket) noexcept {
    const auto info = info_of(socket);
    return !info || info->tcpi_state == state_close;
}

} // namespace dlhandoff::engine
