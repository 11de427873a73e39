#pragma once

#include "engine/tls/fast_gcm.hpp"
#include "engine/tls/traffic_key.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <openssl/evp.h>
#include <optional>
#include <span>

namespace dlhandoff::engine {

/// The type of a TLS record's content (RFC 8446, 5.1).
enum class content_type : std::uint8_t {
    change_cipher_spec = 20,
    alert = 21,
    handshake = 22,
    application_data = 23
};

/// The most plaintext in one record.
inline constexpr std::size_t max_record_plaintext = 16384;
inline constexpr std::size_t record_header_size = 5;
inline constexpr std::size_t tag_size = 16;
/// The largest record from the client, header included (RFC 5246, 6.2.3 allows more expansion than RFC 8446,
/// 5.2).
inline constexpr std::size_t max_record_size = record_header_size + max_record_plaintext + 2048;

/// What a record of this suite has besides its plaintext: header, explicit nonce, inner content type, tag.
[[nodiscard]] std::size_t record_overhead(const tls_suite& suite) noexcept;
/// The part of record_overhead() that precedes the plaintext.
[[nodiscard]] std::size_t record_prefix(const tls_suite& suite) noexcept;

/// Seals and opens TLS records with libcrypto, or seals with fast_gcm where that can be used. Keeps nothing
/// of a connection except the cipher context's last key, so one serves all connections of a thread.
class record_cipher {
  public:
    /// `may_be_fast`: false for libcrypto alone. Throws std::bad_alloc.
    explicit record_cipher(bool may_be_fast = true);

    /// Seals in place. `record` has room for header, plaintext and tag; the plaintext is already in its place
    /// (record_prefix() from the start). The caller advances the sequence number.
    void seal(const traffic_key& key, std::uint64_t sequence, content_type type,
              std::span<std::uint8_t> record);

    struct opened {
        content_type type;
        std::span<std::uint8_t> plaintext; ///< within the record
    };
    /// Opens one whole record in place; nullopt if it is not authentic or not well-formed.
    [[nodiscard]] std::optional<opened> open(const traffic_key& key, std::uint64_t sequence,
                                             std::span<std::uint8_t> record);

    /// Forgets the keys that were last used.
    void wipe() noexcept;

  private:
    [[nodiscard]] bool take_key(const traffic_key& key, bool sealing);
    void use(const traffic_key& key, bool sealing, const std::uint8_t* nonce);
    void protect(const traffic_key& key, std::uint64_t sequence,
                 std::span<const std::uint8_t> additional_data, std::span<std::uint8_t> text,
                 std::uint8_t* tag);
    struct free_context {
        void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
    };
    std::unique_ptr<EVP_CIPHER_CTX, free_context> context_;
    std::optional<fast_gcm> fast_;
    std::array<std::uint8_t, 32> last_key_{};
    const tls_suite* last_suite_ = nullptr;
    bool last_sealing_ = false;
};

} // namespace dlhandoff::engine
