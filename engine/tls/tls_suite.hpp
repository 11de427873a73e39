#pragma once

#include <cstddef>
#include <cstdint>
#include <openssl/evp.h>

namespace dlhandoff::engine {

inline constexpr std::uint16_t tls12 = 0x0303;
inline constexpr std::uint16_t tls13 = 0x0304;

/// A cipher suite that the record layer supports; all are AEAD with a 16-byte tag.
struct tls_suite {
    std::uint16_t number;  ///< IANA
    std::uint16_t version; ///< tls12 or tls13
    const char* name;      ///< IANA's
    const char* cipher;    ///< OpenSSL's name, for EVP_CIPHER_fetch(3)
    const char* digest;    ///< TLS 1.3: of the key schedule
    std::uint8_t key_size;
    std::uint8_t secret_size; ///< TLS 1.3: the hash's length; TLS 1.2: key and fixed nonce
    std::uint8_t fixed_nonce; ///< bytes of the nonce that come from the keys: 12, or 4 with an explicit part
                              ///< (RFC 5288)
    std::uint64_t record_limit; ///< records under one key at most (RFC 8446, 5.5)
};

/// Null if the record layer doesn't support this suite.
[[nodiscard]] const tls_suite* find_tls_suite(std::uint16_t version, std::uint16_t number) noexcept;

} // namespace dlhandoff::engine
