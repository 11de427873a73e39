#pragma once

#include "engine/tls/tls_suite.hpp"
#include "shared/secret_value.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace dlhandoff::engine {

/// The keys of one direction of a TLS connection, and the number of its next record. Wipes itself.
///
/// It is a value: the same key, number and bytes always make the same record, so nothing sealed needs to be
/// kept.
class traffic_key {
  public:
    traffic_key() noexcept = default;
    /// From a tls_session's secret: `secret` has at least suite.secret_size bytes. Throws std::runtime_error
    /// if libcrypto fails.
    traffic_key(const tls_suite& suite, std::span<const std::uint8_t> secret, std::uint64_t sequence);

    [[nodiscard]] const tls_suite& suite() const noexcept { return *suite_; }
    [[nodiscard]] std::span<const std::uint8_t> key() const noexcept {
        return {key_->data(), suite_->key_size};
    }

    /// The nonce of record `sequence` (RFC 8446, 5.3; RFC 5288, 3; RFC 7905, 2).
    [[nodiscard]] std::array<std::uint8_t, 12> nonce(std::uint64_t sequence) const noexcept;

    /// The number of the next record; the caller advances it.
    std::uint64_t sequence = 0;

    /// TLS 1.3 KeyUpdate (RFC 8446, 7.2): takes the next generation's key, whose records count from 0 again.
    void update();

    /// Wipes the keys; only the suite is left.
    void forget() noexcept;

  private:
    void derive();

    const tls_suite* suite_ = nullptr;
    secret_value<std::array<std::uint8_t, 48>> secret_; ///< TLS 1.3 only
    secret_value<std::array<std::uint8_t, 32>> key_;
    secret_value<std::array<std::uint8_t, 12>> iv_; ///< TLS 1.2 with AES: the first four bytes
};

} // namespace dlhandoff::engine
