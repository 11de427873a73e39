#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dlhandoff {

/// What another process or module needs to continue a TLS connection after its handshake (RFC 8446, RFC
/// 5246): the keys of both directions and how many records they have protected. Secret: never logged, wiped
/// when no longer needed.
struct tls_session {
    std::uint16_t version = 0; ///< 0x0303: TLS 1.2, 0x0304: TLS 1.3
    std::uint16_t suite = 0;   ///< the IANA number of the cipher suite
    std::uint32_t zero = 0;
    std::uint64_t write_sequence = 0; ///< of the next record to the client
    std::uint64_t read_sequence = 0;  ///< of the next record from the client
    /// TLS 1.3: the application traffic secrets (hash length). TLS 1.2: the write key, then the fixed part of
    /// the nonce.
    std::array<std::uint8_t, 48> write_secret{};
    std::array<std::uint8_t, 48> read_secret{};
};
static_assert(sizeof(tls_session) == 120);

} // namespace dlhandoff
