#pragma once

#include <cerrno>
#include <cstdint>

namespace dlhandoff::engine {

/// What a failed write to a client means.
enum class write_error : std::uint8_t { again, client_gone, other };

/// From errno after send(2) or sendfile(2).
[[nodiscard]] inline write_error classify_write_error(int error) noexcept {
    switch (error) {
    case EAGAIN:
        return write_error::again;
    case EIO: // sendfile: the disk
    case ENOMEM:
    case EINVAL:
    case EBADMSG: // the kernel failed to seal a TLS record
    case EOVERFLOW:
    case EBADF:
        return write_error::other;
    default: // EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, …: whatever the network had to say
        return write_error::client_gone;
    }
}

} // namespace dlhandoff::engine
