#include "engine/tls/tls_suite.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace dlhandoff::engine {
namespace {

// RFC 8446, 5.5: 2^24.5 full records keep the safety margin of AES-GCM at 2^-57; ChaCha20-Poly1305 wraps
// first.
constexpr std::uint64_t gcm_limit = 1ULL << 24;
constexpr std::uint64_t chacha_limit = std::numeric_limits<std::uint64_t>::max();

constexpr std::array suites{
    tls_suite{0x1301, tls13, "TLS_AES_128_GCM_SHA256", "AES-128-GCM", "SHA2-256", 16, 32, 12, gcm_limit},
    tls_suite{0x1302, tls13, "TLS_AES_256_GCM_SHA384", "AES-256-GCM", "SHA2-384", 32, 48, 12, gcm_limit},
    tls_suite{0x1303, tls13, "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "SHA2-256", 32, 32, 12,
              chacha_limit},
    tls_suite{0xc02b, tls12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", "", 16, 20, 4,
              gcm_limit},
    tls_suite{0xc02c, tls12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", "", 32, 36, 4,
              gcm_limit},
    tls_suite{0xc02f, tls12, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", "", 16, 20, 4,
              gcm_limit},
    tls_suite{0xc030, tls12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", "", 32, 36, 4,
              gcm_limit},
    tls_suite{0xcca8, tls12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "", 32, 44,
              12, chacha_limit},
    tls_suite{0xcca9, tls12, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "", 32, 44,
              12, chacha_limit},
};

} // namespace

const tls_suite* find_tls_suite(std::uint16_t version, std::uint16_t number) noexcept {
    const auto* found = std::ranges::find_if(
        suites, [=](const tls_suite& one) { return one.number == number && one.version == version; });
    return found == suites.end() ? nullptr : found;
}

} // namespace dlhandoff::engine
