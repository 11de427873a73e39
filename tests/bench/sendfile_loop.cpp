#include "tests/bench/sendfile_loop.hpp"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace dlhandoff::bench {
namespace {

struct download {
    file_descriptor connection;
    std::uint64_t left = 0; ///< how often the file is still to be sent
    off_t offset = 0;
};

/// Sends until the socket is full; true if that was all.
bool send_on(download& one, int file, std::uint64_t size) {
    while (one.left > 0) {
        const ssize_t taken = ::sendfile(one.connection.get(), file, &one.offset,
                                         size - static_cast<std::uint64_t>(one.offset));
        if (taken < 0 && errno == EAGAIN)
            return false;
        if (taken <= 0)
            throw_errno("sendfile");
        if (static_cast<std::uint64_t>(one.offset) == size) {
            one.offset = 0;
            --one.left;
        }
    }
    return true;
}

} // namespace

void send_with_sendfile_loop(std::vector<file_descriptor> connections, std::string_view head, int file,
                             std::uint64_t size, std::uint64_t times, int unsent_low_water) {
    const file_descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    std::vector<download> downloads(connections.size());
    for (std::size_t i = 0; i < downloads.size(); ++i) {
        downloads[i].connection = std::move(connections[i]);
        downloads[i].left = times;
        const int number = downloads[i].connection.get();
        if (unsent_low_water != 0)
            ::setsockopt(number, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_low_water, sizeof unsent_low_water);
        if (::send(number, head.data(), head.size(), MSG_MORE) != static_cast<ssize_t>(head.size()))
            throw_errno("send");
        epoll_event event{};
        event.events = EPOLLOUT;
        event.data.u64 = i;
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, number, &event) != 0)
            throw_errno("epoll_ctl");
    }
    std::array<epoll_event, 256> events;
    for (std::size_t open = downloads.size(); open > 0;) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            auto& event = events[static_cast<std::size_t>(i)];
            download& one = downloads[event.data.u64];
            if (one.left == 0) { // everything is sent, and the client has closed
                one.connection.reset();
                --open;
            } else if (send_on(one, file, size)) {
                ::shutdown(one.connection.get(), SHUT_WR);
                event.events = EPOLLIN;
                ::epoll_ctl(epoll.get(), EPOLL_CTL_MOD, one.connection.get(), &event);
            }
        }
    }
}

} // namespace dlhandoff::bench
