#include "engine/client/plain_channel.hpp"

#include "engine/client/client_input.hpp"
#include "engine/client/client_socket.hpp"
#include "engine/files/file_table.hpp"
#include "engine/limits/tcp_memory.hpp"

#include <cerrno>
#include <limits>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

channel::given result_of(ssize_t taken) noexcept {
    if (taken < 0)
        return {step_of_write_error(errno), 0};
    return {write_step::sent, static_cast<std::uint64_t>(taken)};
}

channel::given send_memory(int socket, const channel::part& one) noexcept {
    ssize_t taken;
    do {
        taken =
            ::send(socket, one.memory, one.length, MSG_NOSIGNAL | MSG_DONTWAIT | (one.more ? MSG_MORE : 0));
    } while (taken < 0 && errno == EINTR);
    return result_of(taken);
}

channel::given send_file(int socket, const channel::part& one) noexcept {
    if (!one.file->unchanged())
        return {write_step::file_changed, 0};
    auto at = static_cast<off_t>(one.offset);
    ssize_t taken;
    do {
        taken = ::sendfile(socket, one.file->descriptor(), &at, one.length);
    } while (taken < 0 && errno == EINTR);
    if (taken == 0)
        return {write_step::file_changed, 0}; // it was as long as the plan needs: now it ends here
    return result_of(taken);
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

channel::given plain_channel::give(int socket, std::span<const part> parts, channel_workplace& /*place*/) {
    return send_parts(socket, parts);
}

channel::heard plain_channel::hear(int socket, connection_end after, channel_workplace& /*place*/) {
    if (after == connection_end::keep_alive)
        return {.unread = true};
    const bool more = drop_input(socket) == client_input::bytes;
    return {.unread = more, .more = more};
}

channel::given plain_channel::send_parts(int socket, std::span<const part> parts) noexcept {
    given all;
    for (const part& one : parts) {
        const given now = one.memory != nullptr ? send_memory(socket, one) : send_file(socket, one);
        all.taken += now.taken;
        all.step = now.step;
        if (now.taken < one.length)
            break;
    }
    return all;
}

} // namespace dlhandoff::engine
