#include "tests/bench/http_probe.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace dlhandoff::bench {

std::optional<std::chrono::microseconds> probe(const loopback_address& server, const std::string& path,
                                               std::chrono::milliseconds time_limit) {
    using clock = std::chrono::steady_clock;
    const auto began = clock::now();
    const auto wait_for = [&](int socket, short events) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(began + time_limit - clock::now());
        pollfd one{socket, events, 0};
        return left.count() > 0 && ::poll(&one, 1, static_cast<int>(left.count())) == 1;
    };
    const file_descriptor client = connect_to(server);
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: main.test\r\nConnection: close\r\n\r\n";
    if (!wait_for(client.get(), POLLOUT) || ::send(client.get(), request.data(), request.size(),
                                                   MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        return std::nullopt;
    std::string answer;
    while (wait_for(client.get(), POLLIN)) {
        char buffer[4096];
        const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
        if (got > 0) {
            answer.append(buffer, static_cast<std::size_t>(got));
        } else if (got == 0) {
            if (!answer.starts_with("HTTP/1.1 200 "))
                break;
            return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began);
        } else if (errno != EAGAIN && errno != EINTR) {
            break;
        }
    }
    return std::nullopt;
}

} // namespace dlhandoff::bench
