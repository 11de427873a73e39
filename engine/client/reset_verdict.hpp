#pragma once

#include "engine/transfer_log.hpp"

#include <cstdint>

namespace dlhandoff::engine {

/// What is known of a response when its client's connection turns out to be reset or timed out, in bytes of
/// head and body.
struct reset_evidence {
    std::uint64_t expected = 0;
    std::uint64_t transmitted = 0; ///< those that TCP has sent at least once
    std::uint64_t delivered = 0;   ///< those that the client's kernel has acknowledged
};

/// How such a transfer has ended. "The client has it" means that the client's kernel has it: TCP reports no
/// more than that, and only the client's program knows what it has read.
///
/// - complete: every byte is acknowledged. The reset concerns what follows the response: a close_notify that
/// the client did not read or wait for.
/// - client_closed: some bytes were never sent, so the client can't have them.
/// - unconfirmed: every byte was sent, and the last ones are not acknowledged. A client that closes with a
///   reset (close(2) with something unread, or SO_LINGER 0) drops the acknowledgement that it still owed. Its
///   reset carries the number, but Linux does not use that (tcp_validate_incoming() in the kernel). So the
///   client may have received everything, or may have gone before that.
[[nodiscard]] constexpr outcome outcome_of(const reset_evidence& evidence) noexcept {
    if (evidence.delivered >= evidence.expected)
        return outcome::complete;
    return evidence.transmitted >= evidence.expected ? outcome::unconfirmed : outcome::client_closed;
}

} // namespace dlhandoff::engine
