#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace dlhandoff::engine {

/// AES-GCM with libIPSec_MB, on processors where that is several times as fast as OpenSSL 3.0's libcrypto:
/// with the vector forms of AES and carry-less multiplication (VAES, VPCLMULQDQ, AVX-512), which libcrypto
/// uses only from 3.1 on. One thread.
class fast_gcm {
  public:
    /// Whether it can be used: the processor is one of those, the library was there when this was built, a
    /// trial has sealed as libcrypto does, and libcrypto is not bound to FIPS 140. Tested once per process.
    [[nodiscard]] static bool usable() noexcept;

    /// Only where it is usable(). Throws std::bad_alloc.
    fast_gcm();
    ~fast_gcm();
    fast_gcm(fast_gcm&&) noexcept = default;
    fast_gcm& operator=(fast_gcm&&) noexcept = default;

    /// `key`: 16 or 32 bytes, of AES-128 or AES-256.
    void set_key(std::span<const std::uint8_t> key) noexcept;
    /// Encrypts in place and writes the tag to `tag` (RFC 5116, 5.1). Needs a key.
    void seal(const std::array<std::uint8_t, 12>& nonce, std::span<const std::uint8_t> additional_data,
              std::span<std::uint8_t> text, std::uint8_t* tag) noexcept;
    /// Forgets the key.
    void wipe() noexcept;

  private:
    struct schedule;
    std::unique_ptr<schedule> schedule_;
};

} // namespace dlhandoff::engine
