#include "tests/bench/fast_clients.hpp"

#include "tests/bench/tls_request.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <vector>

namespace dlhandoff::bench {

namespace {

std::uint64_t read_all(std::vector<file_descriptor> clients, bool copy) {
    const file_descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    for (unsigned i = 0; i < clients.size(); ++i) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u32 = i;
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, clients[i].get(), &event) != 0)
            throw_errno("epoll_ctl");
    }
    std::vector<char> buffer(256 * 1024);
    std::uint64_t received = 0;
    std::array<epoll_event, 64> events;
    for (std::size_t open = clients.size(); open > 0;) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            file_descriptor& client = clients[events[static_cast<std::size_t>(i)].data.u32];
            const ssize_t got = copy ? ::recv(client.get(), buffer.data(), buffer.size(), 0)
                                     : ::recv(client.get(), nullptr, 1U << 30, MSG_TRUNC);
            if (got < 0 && errno != EAGAIN && errno != EINTR)
                throw_errno("recv");
            if (got > 0)
                received += static_cast<std::uint64_t>(got);
            if (got == 0) {
                client.reset();
                --open;
            }
        }
    }
    return received;
}

} // namespace

std::uint64_t read_to_the_end(std::uint16_t port, unsigned count, bool copy) {
    std::vector<file_descriptor> clients;
    for (unsigned i = 0; i < count; ++i)
        clients.push_back(connect_to({port}));
    return read_all(std::move(clients), copy);
}

std::uint64_t download_over_tls(const loopback_address& server, unsigned count, const std::string& request) {
    std::vector<file_descriptor> clients;
    for (unsigned i = 0; i < count; ++i) {
        clients.push_back(connect_to(server));
        tls_request asking(clients.back().get(), request);
        for (auto now = asking.go_on(); now != tls_request::progress::sent; now = asking.go_on()) {
            pollfd one{clients.back().get(), asking.waits_for(), 0};
            if (now == tls_request::progress::failed || ::poll(&one, 1, 10'000) != 1)
                throw std::runtime_error("a TLS handshake failed");
        }
    }
    return read_all(std::move(clients), false);
}

} // namespace dlhandoff::bench
