#include "engine/client/plain_channel.hpp"

#include "engine/client/channel_workplace.hpp"
#include "engine/client/client_input.hpp"
#include "engine/client/client_socket.hpp"
#include "engine/limits/tcp_memory.hpp"

#include <cerrno>
#include <limits>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

channel::given result_of(ssize_t taken) noexcept {
    if (taken < 0)
        return {.step = step_of_write_error(errno)};
    return {.taken = static_cast<std::uint64_t>(taken)};
}

channel::given send_memory(int socket, const channel::part& one) noexcept {
    ssize_t taken;
    do {
        taken =
            ::send(socket, one.memory, one.length, MSG_NOSIGNAL | MSG_DONTWAIT | (one.more ? MSG_MORE : 0));
    } while (taken < 0 && errno == EINTR);
    return result_of(taken);
}

channel::given send_file(int socket, const channel::part& one, file_sender& files) {
    const file_sender::result result = files.send(socket, *one.file, one.offset, one.length, one.reading);
    channel::given now{.step = result.step, .taken = result.bytes};
    if (result.step == write_step::failed) {
        now.unreadable = one.file;
        now.offset = one.offset;
        now.error = result.error;
    }
    return now;
}

} // namespace

channel::pointer plain_channel::shared() noexcept {
    static constinit plain_channel one;
    return pointer(&one);
}

/// sendfile(2) would give the kernel a whole segment of up to 64 kB beyond the low-water mark: where that is
/// low, it is kept to the byte.
std::uint64_t plain_channel::room(client_socket& socket) noexcept {
    if (socket.low_water() > tcp_memory::first_low_water)
        return std::numeric_limits<std::uint64_t>::max();
    return socket.room(static_cast<std::uint64_t>(socket.low_water()) / 2);
}

channel::given plain_channel::give(int socket, std::span<const part> parts, channel_workplace& place) {
    return send_parts(socket, parts, place);
}

channel::heard plain_channel::hear(int socket, connection_end after, channel_workplace& /*place*/) {
    if (after == connection_end::keep_alive)
        return {.unread = true};
    const bool more = drop_input(socket) == client_input::bytes;
    return {.unread = more, .more = more};
}

channel::given plain_channel::send_parts(int socket, std::span<const part> parts, channel_workplace& place) {
    std::uint64_t taken = 0;
    for (const part& one : parts) {
        given now = one.memory != nullptr ? send_memory(socket, one) : send_file(socket, one, place.files());
        taken += now.taken;
        if (now.taken < one.length) {
            now.taken = taken;
            return now;
        }
    }
    return {.taken = taken};
}

} // namespace dlhandoff::engine
