#include "engine/client/client_input.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <sys/socket.h>
#include <sys/types.h>

namespace dlhandoff::engine {
namespace {

client_input receive(int socket, char* into, std::size_t size, int flags) noexcept {
    ssize_t got;
    do {
        got = ::recv(socket, into, size, flags | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        return client_input::bytes;
    if (got == 0)
        return client_input::ended;
    return errno == EAGAIN ? client_input::none : client_input::failed;
}

} // namespace

client_input peek_input(int socket) noexcept {
    char first;
    return receive(socket, &first, sizeof first, MSG_PEEK);
}

client_input peek_request(int socket, std::uint8_t& lines) noexcept {
    while (lines <= most_empty_lines) {
        std::array<char, 2> first{};
        ssize_t got;
        do {
            got = ::recv(socket, first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        if (got == 0)
            return client_input::ended;
        if (got < 0)
            return errno == EAGAIN ? client_input::none : client_input::failed;
        const bool has_return = first[0] == '\r';
        if (has_return && got == 1)
            return client_input::none;
        if (first[has_return ? 1 : 0] != '\n')
            return client_input::bytes;
        (void)receive(socket, first.data(), has_return ? 2 : 1, 0);
        ++lines;
    }
    return client_input::bytes;
}

client_input drop_input(int socket) noexcept {
    constexpr int most_calls = 16;
    constexpr std::size_t at_once = 1U << 20;
    client_input last = client_input::bytes;
    for (int calls = 0; calls < most_calls && last == client_input::bytes; ++calls)
        last = receive(socket, nullptr, at_once, MSG_TRUNC); // dropped without being copied (tcp(7))
    return last;
}

} // namespace dlhandoff::engine
