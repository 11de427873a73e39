#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dlhandoff::engine {

/// The control records of one TLS connection: which of them is due, and which is being sent. They go between
/// data records, one at a time.
class tls_control {
  public:
    enum class record : std::uint8_t { none, key_update, no_renegotiation, close_notify };

    explicit tls_control(std::uint64_t record_limit) noexcept : record_limit_(record_limit) {}

    /// The client has asked for a new key of ours (RFC 8446, 4.6.3), or the present one nears its limit.
    void want_key_update() noexcept { update_wanted_ = true; }
    /// It has asked for a renegotiation: refused (RFC 5246, 7.2.2).
    void want_refusal() noexcept { refusal_wanted_ = true; }
    /// The data end: nothing can follow close_notify.
    void want_close() noexcept { close_wanted_ = true; }

    /// At a record boundary: what goes before the next data record, chosen now if nothing is being sent. A
    /// key of TLS 1.3 whose next record is `sequence` is changed within `margin` records of its limit.
    void choose(bool is_tls13, std::uint64_t sequence, std::uint64_t margin) noexcept;
    /// What is being sent.
    [[nodiscard]] record current() const noexcept { return current_; }
    /// It is with the kernel. Returns what it was.
    record sent() noexcept;

    /// Whether one is being sent, or is due.
    [[nodiscard]] bool waits() const noexcept {
        return current_ != record::none || (!closed_ && (update_wanted_ || refusal_wanted_ || close_wanted_));
    }

    /// Records under one key at most; for tests also lower than the suite's own.
    void limit_records(std::uint64_t most) noexcept { record_limit_ = most; }
    [[nodiscard]] std::uint64_t record_limit() const noexcept { return record_limit_; }

    /// The plaintext of the current one, and whether it is a handshake message; else it is an alert.
    [[nodiscard]] std::span<const std::uint8_t> message() const noexcept;
    [[nodiscard]] bool is_handshake() const noexcept { return current_ == record::key_update; }

  private:
    std::uint64_t record_limit_;
    record current_ = record::none;
    bool update_wanted_ = false;
    bool refusal_wanted_ = false;
    bool close_wanted_ = false;
    bool closed_ = false; ///< close_notify is with the kernel, or on its way there: nothing follows it
};

/// KeyUpdate (RFC 8446, 4.6.3) that asks for none in return.
inline constexpr std::uint8_t key_update_message[]{24, 0, 0, 1, 0};

} // namespace dlhandoff::engine
