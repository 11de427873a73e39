#pragma once

#include <cerrno>
#include <cstdint>

namespace dlhandoff::engine {

/// What came of giving bytes to a client's socket.
enum class write_step : std::uint8_t {
    sent,         ///< the bytes were taken; there may be room for more
    would_block,  ///< the socket is full; an edge (epoll(7)) tells when that is over
    client_gone,  ///< the network has ended it: reset, timed out, unreachable
    file_changed, ///< the file no longer has the bytes that were announced
    failed        ///< reading or sealing them failed
};

/// From errno after send(2), sendmsg(2) or sendfile(2) has failed.
[[nodiscard]] inline write_step step_of_write_error(int error) noexcept {
    switch (error) {
    case EAGAIN:
        return write_step::would_block;
    case EIO: // sendfile: the disk
    case ENOMEM:
    case EINVAL:
    case EBADMSG: // the kernel failed to seal a TLS record
    case EOVERFLOW:
    case EBADF:
        return write_step::failed;
    default: // EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, …
        return write_step::client_gone;
    }
}

} // namespace dlhandoff::engine
