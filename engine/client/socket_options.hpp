#pragma once

#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/// Options of a client's socket. When httpd gets it back, they have the system's values again, which httpd
/// does not change. A kernel that refuses one goes on without it.
namespace dlhandoff::engine {

inline constexpr std::uint64_t unpaced = ~std::uint64_t{0};

/// Bytes a second at most (socket(7), SO_MAX_PACING_RATE); the kernel's TCP keeps it, without a qdisc.
inline void set_pacing_rate(int socket, std::uint64_t rate) noexcept {
    ::setsockopt(socket, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}

/// Bytes that the kernel queues unsent (tcp(7), TCP_NOTSENT_LOWAT); 0: the system's own.
inline void set_notsent_low_water(int socket, int bytes) noexcept {
    ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

/// How long sent bytes may stay unacknowledged before the kernel ends the connection, also when nobody holds
/// it any more (tcp(7), TCP_USER_TIMEOUT); 0: the system's own.
inline void set_user_timeout(int socket, std::chrono::milliseconds timeout) noexcept {
    const auto value = static_cast<unsigned>(timeout.count());
    ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

} // namespace dlhandoff::engine
