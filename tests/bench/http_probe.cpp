#include "tests/bench/http_probe.hpp"

#include "tests/bench/tls_request.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace dlhandoff::bench {

namespace {

using clock = std::chrono::steady_clock;

std::string request_of(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: main.test\r\nConnection: close\r\n\r\n";
}

/// One probe's clock: when it began, and how long it may take.
struct stopwatch {
    std::chrono::milliseconds time_limit;
    clock::time_point began = clock::now();

    /// Whether the socket was ready in time.
    [[nodiscard]] bool wait_for(int socket, short events) const {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(began + time_limit - clock::now());
        pollfd one{socket, events, 0};
        return left.count() > 0 && ::poll(&one, 1, static_cast<int>(left.count())) == 1;
    }
    /// How long it took, if that is the answer wanted.
    [[nodiscard]] std::optional<std::chrono::microseconds> stop(const std::string& answer) const {
        if (!answer.starts_with("HTTP/1.1 200 "))
            return std::nullopt;
        return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began);
    }
};

} // namespace

std::optional<std::chrono::microseconds> probe(const loopback_address& server, const std::string& path,
                                               std::chrono::milliseconds time_limit) {
    const stopwatch watch{time_limit};
    const file_descriptor client = connect_to(server);
    const std::string request = request_of(path);
    if (!watch.wait_for(client.get(), POLLOUT) ||
        ::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size()))
        return std::nullopt;
    std::string answer;
    while (watch.wait_for(client.get(), POLLIN)) {
        char buffer[4096];
        const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
        if (got > 0)
            answer.append(buffer, static_cast<std::size_t>(got));
        else if (got == 0)
            return watch.stop(answer);
        else if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return std::nullopt;
}

std::optional<std::chrono::microseconds> probe_tls(const loopback_address& server, const std::string& path,
                                                   std::chrono::milliseconds time_limit) {
    const stopwatch watch{time_limit};
    const file_descriptor client = connect_to(server);
    if (!watch.wait_for(client.get(), POLLOUT))
        return std::nullopt;
    tls_request asking(client.get(), request_of(path));
    for (auto now = asking.go_on(); now != tls_request::progress::sent; now = asking.go_on())
        if (now == tls_request::progress::failed || !watch.wait_for(client.get(), asking.waits_for()))
            return std::nullopt;
    std::string answer;
    for (;;) {
        char buffer[4096];
        const int got = asking.read(buffer);
        if (got > 0)
            answer.append(buffer, static_cast<std::size_t>(got));
        else if (asking.has_ended())
            return watch.stop(answer);
        else if (!watch.wait_for(client.get(), POLLIN))
            return std::nullopt;
    }
}

} // namespace dlhandoff::bench
