#pragma once

#include "engine/tls/tls_record.hpp"
#include "engine/tls/traffic_key.hpp"
#include "engine/write_step.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace dlhandoff::engine {

/// Has the kernel seal what one TLS connection sends (Documentation/networking/tls.rst): plaintext goes to
/// its socket with send(2) and sendfile(2), and the kernel makes records of it. This is the sending side only
/// (TLS_TX): what the client says is still read from the socket as sealed records.
///
/// Each call borrows the socket, always the same one. There is no way back: once the kernel has the key, only
/// the kernel can seal on this socket. So everything that may be needed later must be known to work
/// beforehand: see usable_for().
///
/// TLS_TX_ZEROCOPY_RO is never set: without it the kernel seals each byte once, into pages of its own, so a
/// file that changes under way can't lead to two texts under one nonce.
///
/// One thread. Errors are values; errno tells more.
class kernel_tls {
  public:
    /// Whether the kernel can be trusted with connections of this suite. A trial finds out, once per process
    /// and suite (kernel_tls_trial.hpp), so the kernel module `tls` must be loaded by then.
    ///
    /// Kernels that can't change a key under way (before Linux 6.14) are not trusted at all. In TLS 1.3 a
    /// client's KeyUpdate could not be answered as RFC 8446, 4.6.3 demands, nor the key be changed at its
    /// limit (5.5). And with any version their sendfile(2) can leave a full socket with nothing on its way to
    /// the client (seen with 6.1: MSG_SENDPAGE_NOTLAST, gone in 6.5), so that the transfer would stall.
    [[nodiscard]] static bool usable_for(const tls_suite& suite) noexcept;

    /// Gives the kernel the key; the next record is number `key.sequence`. nullopt if the kernel doesn't take
    /// it: then the socket sends what it is given unchanged, as before.
    [[nodiscard]] static std::optional<kernel_tls> start(int socket, const traffic_key& key) noexcept;

    /// Sends a record that isn't data: first closes the record that is open, if one is, then sends this one
    /// whole. After would_block nothing of this record has been sent: call it again.
    [[nodiscard]] write_step send_record(int socket, content_type type,
                                         std::span<const std::uint8_t> body) noexcept;

    /// When the socket is full: sends what TCP holds back because more was to come. Otherwise, once all else
    /// is acknowledged, only a timer of 200 ms would send it.
    static void flush(int socket) noexcept;

    /// What is sent from now on is sealed with `next`. Call it right after send_record(), so that no record
    /// is open. False: the kernel refuses, and the connection must end.
    [[nodiscard]] bool change_key(int socket, const traffic_key& next) noexcept;

    /// The number of the next record under this key.
    [[nodiscard]] std::optional<std::uint64_t> sequence(int socket) const noexcept;

    /// How many bytes on the wire so many bytes of data, and the control records between them, have become.
    /// Exact while no record is open, which is so after a send_record(); otherwise what is in the open record
    /// counts as plaintext. The largest number if the kernel doesn't tell.
    [[nodiscard]] std::uint64_t wire_bytes(int socket, std::uint64_t plaintext) const noexcept;

  private:
    kernel_tls(const tls_suite& suite, std::uint64_t first) noexcept : suite_(&suite), first_(first) {}

    const tls_suite* suite_;
    std::uint64_t first_;               ///< number of the first record under this key
    std::uint64_t earlier_records_ = 0; ///< under earlier keys
    std::uint64_t other_plaintext_ = 0; ///< bytes of plaintext that were not data
};

} // namespace dlhandoff::engine
