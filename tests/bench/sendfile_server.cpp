#include "tests/bench/sendfile_server.hpp"

#include "shared/file_descriptor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace dlhandoff::bench {
namespace {

struct open_file {
    file_descriptor descriptor;
    off_t size = 0;
    std::string head;
};

struct connection {
    file_descriptor socket;
    std::string request;
    const open_file* file = nullptr; ///< that is being sent
    off_t offset = 0;
};

class files {
  public:
    explicit files(std::string folder) : folder_(std::move(folder)) {}

    const open_file& named(const std::string& path) {
        open_file& one = known_[path];
        if (one.descriptor)
            return one;
        const std::string name = folder_ + path;
        one.descriptor.reset(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat status {};
        if (!one.descriptor || ::fstat(one.descriptor.get(), &status) != 0)
            throw_errno(name.c_str());
        one.size = status.st_size;
        // Of the length that a server's heads usually have.
        one.head = "HTTP/1.1 200 OK\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\nServer: sendfile\r\n"
                   "Last-Modified: Fri, 31 Jul 2026 12:00:00 GMT\r\nAccept-Ranges: bytes\r\n"
                   "Content-Type: application/octet-stream\r\nContent-Length: " +
                   std::to_string(one.size) + "\r\n\r\n";
        return one;
    }

  private:
    std::string folder_;
    std::map<std::string, open_file> known_;
};

file_descriptor listen_at(const loopback_address& at) {
    file_descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(at.host);
    address.sin_port = htons(at.port);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 4096) != 0)
        throw_errno("listen");
    return socket;
}

/// False: the connection has ended.
bool send_on(connection& one) {
    while (one.offset < one.file->size) {
        const auto left = static_cast<std::size_t>(one.file->size - one.offset);
        const ssize_t taken = ::sendfile(one.socket.get(), one.file->descriptor.get(), &one.offset, left);
        if (taken < 0 && errno == EAGAIN)
            return true;
        if (taken <= 0)
            return false;
    }
    one.file = nullptr;
    return true;
}

/// False: the connection has ended, or doesn't speak HTTP.
bool go_on(connection& one, files& all) {
    if (one.file != nullptr)
        return send_on(one);
    std::array<char, 4096> buffer;
    const ssize_t got = ::recv(one.socket.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    one.request.append(buffer.data(), static_cast<std::size_t>(got));
    if (!one.request.ends_with("\r\n\r\n"))
        return one.request.size() < buffer.size();
    if (!one.request.starts_with("GET /"))
        return false;
    one.file = &all.named(one.request.substr(4, one.request.find(' ', 4) - 4));
    one.offset = 0;
    one.request.clear();
    const std::string& head = one.file->head;
    return ::send(one.socket.get(), head.data(), head.size(), MSG_MORE | MSG_NOSIGNAL) ==
               static_cast<ssize_t>(head.size()) &&
           send_on(one);
}

} // namespace

void serve_with_sendfile(const loopback_address& at, const std::string& folder) {
    ::signal(SIGPIPE, SIG_IGN); // sendfile(2) to a client that has gone
    const file_descriptor listener = listen_at(at);
    const file_descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    const auto watch = [&](int number, std::uint32_t what, connection* who) {
        epoll_event event{};
        event.events = what;
        event.data.ptr = who;
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, number, &event) != 0)
            throw_errno("epoll_ctl");
    };
    watch(listener.get(), EPOLLIN, nullptr);
    files all(folder);
    std::map<connection*, std::unique_ptr<connection>> open;
    std::array<epoll_event, 256> events;
    for (;;) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            auto* const known = static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            if (known != nullptr) {
                if (!go_on(*known, all))
                    open.erase(known);
                continue;
            }
            auto one = std::make_unique<connection>();
            one->socket.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!one->socket)
                continue;
            const int now = 1; // the end of a response doesn't wait for an acknowledgement
            ::setsockopt(one->socket.get(), IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
            // By edges: nothing is waited for that has not been tried.
            watch(one->socket.get(), EPOLLIN | EPOLLOUT | EPOLLET, one.get());
            open.emplace(one.get(), std::move(one));
        }
    }
}

} // namespace dlhandoff::bench
