#include "tests/bench/loopback.hpp"

#include "tests/bench/role.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dlhandoff::bench {
namespace {

sockaddr_in to_sockaddr(const loopback_address& from) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(from.host);
    address.sin_port = htons(from.port);
    return address;
}

} // namespace

loopback_listener::loopback_listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = to_sockaddr({});
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, size) != 0 || ::listen(socket_.get(), 4096) != 0 ||
        ::getsockname(socket_.get(), generic, &size) != 0)
        throw_errno("listen on 127.0.0.1");
    const timeval limit{patience_seconds, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    port_ = ntohs(address.sin_port);
}

std::vector<file_descriptor> loopback_listener::accept(std::size_t count) const {
    std::vector<file_descriptor> accepted;
    while (accepted.size() < count) {
        file_descriptor one(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!one)
            throw_errno("accept4");
        accepted.push_back(std::move(one));
    }
    return accepted;
}

file_descriptor connect_to(const loopback_address& server, int receive_buffer, std::uint32_t source) {
    file_descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!client)
        throw_errno("socket");
    if (receive_buffer != 0)
        ::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (source != 0) {
        const sockaddr_in own = to_sockaddr({0, source});
        const int late = 1; // the port is chosen by connect(2), so that it can be another connection's, too
        ::setsockopt(client.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        if (::bind(client.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0)
            throw_errno("bind");
    }
    const sockaddr_in address = to_sockaddr(server);
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS)
        throw_errno("connect");
    return client;
}

} // namespace dlhandoff::bench
