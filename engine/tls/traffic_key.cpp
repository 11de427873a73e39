#include "engine/tls/traffic_key.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdexcept>
#include <string_view>

namespace dlhandoff::engine {
namespace {

/// HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
void expand_label(const tls_suite& suite, std::span<const std::uint8_t> secret, std::string_view label,
                  std::span<std::uint8_t> into) {
    static EVP_KDF* const hkdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(hkdf),
                                                                            &EVP_KDF_CTX_free);
    constexpr std::string_view prefix = "tls13 ";
    std::array<std::uint8_t, 64> info{};
    std::size_t size = 0;
    info[size++] = static_cast<std::uint8_t>(into.size() >> 8);
    info[size++] = static_cast<std::uint8_t>(into.size());
    info[size++] = static_cast<std::uint8_t>(prefix.size() + label.size());
    for (const std::string_view part : {prefix, label}) {
        std::memcpy(info.data() + size, part.data(), part.size());
        size += part.size();
    }
    info[size++] = 0; // the empty context
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(suite.digest), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(secret.data()),
                                          secret.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), size),
        OSSL_PARAM_construct_end(),
    };
    if (context == nullptr || EVP_KDF_derive(context.get(), into.data(), into.size(), parameters) != 1)
        throw std::runtime_error("libcrypto can't derive a TLS key with HKDF");
}

} // namespace

traffic_key::traffic_key(const tls_suite& suite, std::span<const std::uint8_t> secret, std::uint64_t first)
    : sequence(first), suite_(&suite) {
    if (suite.version == tls13) {
        std::copy_n(secret.begin(), suite.secret_size, secret_->begin());
        derive();
    } else {
        std::copy_n(secret.begin(), suite.key_size, key_->begin());
        std::copy_n(secret.begin() + suite.key_size, suite.fixed_nonce, iv_->begin());
    }
}

void traffic_key::forget() noexcept {
    secret_.wipe();
    key_.wipe();
    iv_.wipe();
}

void traffic_key::derive() {
    const std::span<const std::uint8_t> secret{secret_->data(), suite_->secret_size};
    expand_label(*suite_, secret, "key", {key_->data(), suite_->key_size});
    expand_label(*suite_, secret, "iv", *iv_);
}

void traffic_key::update() {
    secret_value<std::array<std::uint8_t, 48>> next;
    expand_label(*suite_, {secret_->data(), suite_->secret_size}, "traffic upd",
                 {next->data(), suite_->secret_size});
    secret_ = next;
    derive();
    sequence = 0;
}

std::array<std::uint8_t, 12> traffic_key::nonce(std::uint64_t number) const noexcept {
    std::array<std::uint8_t, 12> result = *iv_;
    const bool is_explicit = suite_->fixed_nonce == 4;
    for (std::size_t i = 0; i < 8; ++i) {
        const auto byte = static_cast<std::uint8_t>(number >> (56 - 8 * i));
        result[4 + i] = is_explicit ? byte : static_cast<std::uint8_t>(result[4 + i] ^ byte);
    }
    return result;
}

} // namespace dlhandoff::engine
