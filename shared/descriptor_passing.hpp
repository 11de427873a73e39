#pragma once

#include "shared/file_descriptor.hpp"

#include <cstddef>
#include <span>
#include <vector>

/// Messages with descriptors over a Unix socket of type SOCK_SEQPACKET (unix(7), cmsg(3)).
///
/// The sender keeps a descriptor that it sends: the call only borrows it. The receiver owns a descriptor that
/// it receives. The two directions therefore have different types: `std::span<const int>` and
/// `std::vector<file_descriptor>`.
namespace dlhandoff {

/// The most descriptors in one message: the client's socket and the files of one response plan. The kernel's
/// own bound is 253 (SCM_MAX_FD).
inline constexpr std::size_t max_descriptors = 65;

enum class send_result {
    sent,
    would_block, ///< the receiver's queue is full
    peer_gone,   ///< EPIPE, ECONNRESET: nobody will read it
    failed       ///< errno says why (EMSGSIZE, ENOBUFS, ETOOMANYREFS, …)
};

/// Sends one message, whole or not at all, without waiting.
[[nodiscard]] send_result send_message(int socket, std::span<const std::byte> bytes,
                                       std::span<const int> descriptors = {});

enum class receive_result {
    message,
    would_block,
    peer_gone, ///< end of file or a reset
    failed     ///< errno says why
};

/// What one recvmsg() yielded. Reuse one object for many calls: its memory stays.
struct received_message {
    std::span<const std::byte> bytes; ///< the message, valid until the next call
    std::vector<file_descriptor> descriptors;
    bool truncated = false; ///< MSG_TRUNC: the message was longer than the limit asked for
    bool descriptors_lost =
        false; ///< MSG_CTRUNC: this process had no descriptors left (RLIMIT_NOFILE), or too many came
    std::vector<std::byte>
        buffer; ///< what `bytes` points into; grows to the largest limit that was asked for
};

/// Receives one message of at most `limit` bytes without waiting. All descriptors arrive close-on-exec.
[[nodiscard]] receive_result receive_message(int socket, std::size_t limit, received_message& into);

} // namespace dlhandoff
