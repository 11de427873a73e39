#pragma once

#include "engine/tls/tls_suite.hpp"

namespace dlhandoff::engine {

/// Tries the kernel's TLS with this suite over a TCP connection to ourselves at 127.0.0.1, with a key that
/// protects nothing: data, an alert, a change of the key, data again. True if what arrived is, byte for byte,
/// what record_cipher makes of it, and the kernel's count of records is right. TLS 1.2 can't change its key:
/// then the kernel must be able to do all this in TLS 1.3, too, with the same cipher.
///
/// False also where no such connection can be made. The caller waits for it, two seconds at most.
[[nodiscard]] bool kernel_seals_as_we_do(const tls_suite& suite) noexcept;

} // namespace dlhandoff::engine
