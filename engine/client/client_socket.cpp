#include "engine/client/client_socket.hpp"

#include "engine/client/socket_options.hpp"
#include "engine/limits/tcp_memory.hpp"

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

namespace dlhandoff::engine {

void client_socket::make_nonblocking() noexcept {
    if (const int flags = ::fcntl(get(), F_GETFL); flags >= 0 && (flags & O_NONBLOCK) == 0)
        ::fcntl(get(), F_SETFL, flags | O_NONBLOCK);
}

void client_socket::set_low_water(int bytes) noexcept {
    low_water_ = bytes;
    if (options_set_)
        set_notsent_low_water(get(), bytes);
}

void client_socket::adapt_low_water(const tcp_memory& memory, clock::duration gap) noexcept {
    const int wanted = gap < fast_gap                        ? memory.raised(low_water_)
                       : gap > slow_gap || memory.is_short() ? memory.low_water()
                                                             : low_water_;
    if (wanted != low_water_)
        set_low_water(wanted);
}

void client_socket::raise_low_water(const tcp_memory& memory) noexcept {
    if (const int wanted = memory.raised(low_water_); wanted != low_water_)
        set_low_water(wanted);
}

void client_socket::set_user_timeout(std::chrono::milliseconds timeout) noexcept {
    user_timeout_ms_ = static_cast<std::uint32_t>(timeout.count());
    if (options_set_)
        engine::set_user_timeout(get(), timeout);
}

void client_socket::set_options() noexcept {
    if (std::exchange(options_set_, true))
        return;
    set_notsent_low_water(get(), low_water_);
    engine::set_user_timeout(get(), std::chrono::milliseconds(user_timeout_ms_));
}

void client_socket::set_pacing_rate(std::uint64_t rate) noexcept {
    engine::set_pacing_rate(get(), rate);
    paced_ = true;
}

std::uint64_t client_socket::room(std::uint64_t enough) noexcept {
    const auto low_water = static_cast<std::uint64_t>(low_water_);
    const std::uint64_t left = low_water - std::min(unsent_bytes(get()), low_water);
    if (left >= enough)
        return left;
    // poll(2) arms the edge as a send(2) that fails does, and writes nothing. It calls a socket full that has
    // more than half of its low water unsent (tcp_poll in the kernel).
    set_options();
    pollfd socket{get(), POLLOUT, 0};
    return ::poll(&socket, 1, 0) == 0 ? 0 : enough;
}

void client_socket::reset_on_close() noexcept {
    const struct ::linger option { 1, 0 };
    ::setsockopt(get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

file_descriptor client_socket::release() noexcept {
    if (options_set_) { // the system's own again (tcp(7))
        set_notsent_low_water(get(), 0);
        engine::set_user_timeout(get(), std::chrono::milliseconds(0));
    }
    if (paced_)
        engine::set_pacing_rate(get(), unpaced);
    return std::move(descriptor_);
}

} // namespace dlhandoff::engine
