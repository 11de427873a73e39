#include "mod_dlhandoff/tls12_keys.hpp"

#include "shared/secret_value.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

namespace dlhandoff::httpd {

bool derive_tls12_keys(const tls_library& library, const SSL* ssl, const engine::tls_suite& suite,
                       tls_session& into) noexcept {
    constexpr std::size_t random_size = 32;
    constexpr std::size_t master_size = 48;
    secret_value<std::array<std::uint8_t, master_size>> master;
    constexpr char label[] = "key expansion";
    constexpr std::size_t label_size = sizeof label - 1;
    std::array<std::uint8_t, label_size + 2 * random_size> seed{};
    std::memcpy(seed.data(), label, label_size);
    if (library.session_master_key(library.get_session(ssl), master->data(), master->size()) !=
            master->size() ||
        library.server_random(ssl, seed.data() + label_size, random_size) != random_size ||
        library.client_random(ssl, seed.data() + label_size + random_size, random_size) != random_size)
        return false;

    // AEAD suites have no MAC keys: both write keys, the client's first, then both nonces.
    const std::size_t key = suite.key_size;
    const std::size_t nonce = suite.fixed_nonce;
    secret_value<std::array<std::uint8_t, 2 * (32 + 12)>> block;
    // The hash of the suite's name (RFC 5288, RFC 7905): SHA-384 with AES-256, else SHA-256.
    char digest[] = "SHA2-256";
    if (std::strstr(suite.name, "SHA384") != nullptr)
        std::memcpy(digest, "SHA2-384", sizeof digest);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master->data(), master->size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()),
        OSSL_PARAM_construct_end(),
    };
    const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> prf(EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr),
                                                                &EVP_KDF_free);
    const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
        prf ? EVP_KDF_CTX_new(prf.get()) : nullptr, &EVP_KDF_CTX_free);
    const bool derived =
        context && EVP_KDF_derive(context.get(), block->data(), 2 * (key + nonce), parameters) == 1;
    if (derived) {
        const std::uint8_t* at = block->data();
        std::copy_n(at, key, into.read_secret.begin());
        std::copy_n(at + key, key, into.write_secret.begin());
        std::copy_n(at + 2 * key, nonce, into.read_secret.begin() + key);
        std::copy_n(at + 2 * key + nonce, nonce, into.write_secret.begin() + key);
    }
    return derived;
}

} // namespace dlhandoff::httpd
