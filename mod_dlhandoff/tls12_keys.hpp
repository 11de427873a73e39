#pragma once

#include "engine/tls/tls_suite.hpp"
#include "mod_dlhandoff/tls_library.hpp"
#include "shared/tls_session.hpp"

namespace dlhandoff::httpd {

/// Fills in the secrets of a TLS 1.2 session (write key and nonce, read key and nonce) from the master secret
/// and both randoms (RFC 5246, 6.3). False if libcrypto fails.
[[nodiscard]] bool derive_tls12_keys(const tls_library& library, const SSL* ssl,
                                     const engine::tls_suite& suite, tls_session& into) noexcept;

} // namespace dlhandoff::httpd
