#include "engine/client/client_input.hpp"

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

client_input drop_input(int socket) noexcept {
    constexpr int most_calls = 16;
    constexpr std::size_t at_once = 1U << 20;
    client_input last = client_input::bytes;
    for (int calls = 0; calls < most_calls && last == client_input::bytes; ++calls)
        last = receive(socket, nullptr, at_once, MSG_TRUNC); // dropped without being copied (tcp(7))
    return last;
}

} // namespace dlhandoff::engine
