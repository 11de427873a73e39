#pragma once

#include "engine/tls/tls_suite.hpp"

namespace dlhandoff::engine {

/// Tries the kernel's TLS with this suite over a TCP connection to ourselves at 127.0.0.1, with a key that
/// protects nothing: data, an alert, a change of the key, data again. True if what arrives is byte for byte
/// what record_cipher makes, and the kernel's count of records is right. TLS 1.2 can't change its key; for
/// it, the kernel must also pass in TLS 1.3 with the same cipher.
///
/// Also false if no such connection can be made. Takes two seconds at most, for which the caller waits.
[[nodiscard]] bool kernel_seals_as_we_do(const tls_suite& suite) noexcept;

} // namespace dlhandoff::engine
