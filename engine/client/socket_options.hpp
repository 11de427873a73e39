#pragma once

#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/// Options of a client's socket. They are set back to the system's values, which httpd does not change,
/// before the connection returns to httpd. If the kernel refuses an option, sending goes on without it.
namespace dlhandoff::engine {

inline constexpr std::uint64_t unpaced = ~std::uint64_t{0};

/// Sets the most bytes a second (socket(7), SO_MAX_PACING_RATE); the kernel's TCP enforces it without a
/// qdisc.
inline void set_pacing_rate(int socket, std::uint64_t rate) noexcept {
    ::setsockopt(socket, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}

/// Sets how many unsent bytes the kernel queues (tcp(7), TCP_NOTSENT_LOWAT); 0: the system's value.
inline void set_notsent_low_water(int socket, int bytes) noexcept {
    ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

/// Sets how long sent bytes may stay unacknowledged before the kernel ends the connection, even if no process
/// holds it any more (tcp(7), TCP_USER_TIMEOUT); 0: the system's value.
inline void set_user_timeout(int socket, std::chrono::milliseconds timeout) noexcept {
    const auto value = static_cast<unsigned>(timeout.count());
    ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

} // namespace dlhandoff::engine
