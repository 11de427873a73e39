#pragma once

#include "engine/transfer_log.hpp"

#include <cstdint>

namespace dlhandoff::engine {

/// What is known of a response when its client's connection is found reset, or timed out: bytes of it, head
/// and body.
struct reset_evidence {
    std::uint64_t expected = 0;
    std::uint64_t transmitted = 0; ///< that TCP has sent at least once
    std::uint64_t delivered = 0;   ///< that the client's kernel has acknowledged
};

/// How such a transfer has ended. "The client has it" means that its kernel has: TCP tells of no more, and
/// what the program read of it only the program knows.
///
/// - complete: every byte is acknowledged. The reset was for what follows the response: a close_notify that
///   the client did not read or wait for.
/// - client_closed: some bytes were never sent, so the client can't have them.
/// - unconfirmed: every byte was sent, and the last ones are not acknowledged. A client that closes with a
///   reset (close(2) with something unread, or SO_LINGER 0) drops the acknowledgement that it still owed: its
///   reset carries the number, but Linux does not take it from there (tcp_validate_incoming() in the kernel).
///   So it may have had everything, or have gone before.
[[nodiscard]] constexpr outcome outcome_of(const reset_evidence& evidence) noexcept {
    if (evidence.delivered >= evidence.expected)
        return outcome::complete;
    return evidence.transmitted >= evidence.expected ? outcome::unconfirmed : outcome::client_closed;
}

} // namespace dlhandoff::engine
