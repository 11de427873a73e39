#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace dlhandoff::test {

/// A TLS version and cipher suite of the tests' servers, which have an RSA certificate.
struct tls_suite_choice {
    const char* name;         ///< for people and documents
    const char* openssl_name; ///< for SSLCipherSuite, libcurl and OpenSSL
    bool tls13;               ///< else TLS 1.2
    const char* logged;       ///< the transfer log's `tls`; nullptr: httpd serves, with declined:tls-suite
};

/// The ones that are handed off, and after them one that is not.
inline constexpr std::array<tls_suite_choice, 7> tls_suites{
    {{"TLS 1.3 AES-128-GCM", "TLS_AES_128_GCM_SHA256", true, "TLSv1.3 TLS_AES_128_GCM_SHA256 user"},
     {"TLS 1.3 AES-256-GCM", "TLS_AES_256_GCM_SHA384", true, "TLSv1.3 TLS_AES_256_GCM_SHA384 user"},
     {"TLS 1.3 ChaCha20-Poly1305", "TLS_CHACHA20_POLY1305_SHA256", true,
      "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 user"},
     {"TLS 1.2 AES-128-GCM", "ECDHE-RSA-AES128-GCM-SHA256", false,
      "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 user"},
     {"TLS 1.2 AES-256-GCM", "ECDHE-RSA-AES256-GCM-SHA384", false,
      "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 user"},
     {"TLS 1.2 ChaCha20-Poly1305", "ECDHE-RSA-CHACHA20-POLY1305", false,
      "TLSv1.2 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 user"},
     {"TLS 1.2 AES-128-CBC", "ECDHE-RSA-AES128-SHA", false, nullptr}}};
inline constexpr std::span<const tls_suite_choice> handed_off_suites =
    std::span(tls_suites).first(tls_suites.size() - 1);

/// A virtual host for each of tls_suites that offers nothing else, so that any client takes it; on a port
/// each. For httpd_options::configuration of a site that has https_configuration(), whose certificate they
/// share.
[[nodiscard]] std::string suite_hosts(const std::string& directives = {});
[[nodiscard]] constexpr std::uint16_t suite_port(std::size_t index) noexcept {
    return static_cast<std::uint16_t>(8450 + index);
}

} // namespace dlhandoff::test
