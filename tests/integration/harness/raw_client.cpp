#include "tests/integration/harness/raw_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <strings.h>
#include <sys/socket.h>

namespace dlhandoff::test {

namespace {

bool has_unread_input(int socket) {
    pollfd wanted{socket, POLLIN, 0};
    return ::poll(&wanted, 1, 0) > 0;
}

} // namespace

raw_client::raw_client(const std::string& address, std::uint16_t port, int receive_buffer)
    : socket_(::socket(address.find(':') == std::string::npos ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in server4{};
    server4.sin_family = AF_INET;
    server4.sin_port = htons(port);
    sockaddr_in6 server6{};
    server6.sin6_family = AF_INET6;
    server6.sin6_port = htons(port);
    const bool is4 = ::inet_pton(AF_INET, address.c_str(), &server4.sin_addr) == 1;
    if (!socket_ || (!is4 && ::inet_pton(AF_INET6, address.c_str(), &server6.sin6_addr) != 1))
        throw_errno("socket");
    if (receive_buffer != 0 &&
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0)
        throw_errno("setsockopt(SO_RCVBUF)");
    const auto* const server =
        is4 ? reinterpret_cast<const sockaddr*>(&server4) : reinterpret_cast<const sockaddr*>(&server6);
    if (::connect(socket_.get(), server, is4 ? sizeof server4 : sizeof server6) < 0)
        throw_errno("connect");
}

raw_client raw_client::connect_from(const std::string& own, const std::string& address, std::uint16_t port,
                                    int receive_buffer) {
    file_descriptor made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in from{};
    sockaddr_in to{};
    from.sin_family = to.sin_family = AF_INET;
    to.sin_port = htons(port);
    if (!made || ::inet_pton(AF_INET, own.c_str(), &from.sin_addr) != 1 ||
        ::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1)
        throw_errno("socket");
    if (receive_buffer != 0 &&
        ::setsockopt(made.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0)
        throw_errno("setsockopt(SO_RCVBUF)");
    if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0)
        throw_errno("bind");
    if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
        throw_errno("connect");
    return raw_client(std::move(made));
}

void raw_client::send(std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            throw_errno("send");
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

void raw_client::half_close() const {
    if (::shutdown(socket_.get(), SHUT_WR) < 0)
        throw_errno("shutdown");
}

void raw_client::reset() {
    const linger at_once{1, 0};
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0)
        throw_errno("setsockopt(SO_LINGER)");
    socket_.reset();
}

bool raw_client::fill(std::chrono::steady_clock::time_point deadline) {
    if (ended_)
        return false;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd wanted{socket_.get(), POLLIN, 0};
        const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<long>(left.count(), 0)));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            throw std::runtime_error("the server sent nothing more in time; unread so far: " +
                                     std::to_string(unread_.size()) + " bytes");
        std::array<char, 65536> buffer;
        const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received <= 0) {
            ended_ = true;
            was_reset_ = received < 0;
            return false;
        }
        unread_.append(buffer.data(), static_cast<std::size_t>(received));
        return true;
    }
}

std::string raw_client::read_head(std::chrono::milliseconds within) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    std::size_t end;
    while ((end = unread_.find("\r\n\r\n")) == std::string::npos)
        if (!fill(deadline))
            return std::exchange(unread_, {});
    std::string head = unread_.substr(0, end + 4);
    unread_.erase(0, end + 4);
    return head;
}

std::string raw_client::read(std::size_t count, std::chrono::milliseconds within) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (unread_.size() < count && fill(deadline)) {
    }
    std::string bytes = unread_.substr(0, count);
    unread_.erase(0, bytes.size());
    return bytes;
}

std::string raw_client::read_to_end(std::chrono::milliseconds within) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (fill(deadline)) {
    }
    return std::exchange(unread_, {});
}

bool raw_client::has_input(std::chrono::milliseconds within) const {
    if (ended_ || !unread_.empty())
        return true;
    pollfd wanted{socket_.get(), POLLIN, 0};
    return ::poll(&wanted, 1, static_cast<int>(within.count())) > 0;
}

std::size_t raw_client::drop_input() {
    while (!ended_ && has_unread_input(socket_.get()))
        (void)fill(std::chrono::steady_clock::now() + 1s);
    return std::exchange(unread_, {}).size();
}

bool raw_client::ends(std::chrono::milliseconds within) {
    try {
        (void)read_to_end(within);
        return true;
    } catch (const std::runtime_error&) {
        return false;
    }
}

std::uint16_t raw_client::local_port() const {
    sockaddr_in local{};
    socklen_t size = sizeof local;
    if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&local), &size) < 0)
        throw_errno("getsockname");
    return ntohs(local.sin_port);
}

std::string field_of(std::string_view head, std::string_view name) {
    for (auto line = head.find("\r\n"); line != std::string_view::npos; line = head.find("\r\n", line + 2)) {
        const std::string_view rest = head.substr(line + 2);
        if (rest.size() > name.size() && rest[name.size()] == ':' &&
            ::strncasecmp(rest.data(), name.data(), name.size()) == 0) {
            std::string_view value = rest.substr(name.size() + 1);
            value = value.substr(0, value.find("\r\n"));
            value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
            return std::string(value);
        }
    }
    return {};
}

int status_of(std::string_view head) {
    return head.size() > 12 && head.starts_with("HTTP/1.") ? std::stoi(std::string(head.substr(9, 3))) : 0;
}

} // namespace dlhandoff::test
