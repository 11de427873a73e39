#include "engine/tls/tls_record.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <openssl/crypto.h>
#include <stdexcept>

namespace dlhandoff::engine {
namespace {

constexpr std::size_t explicit_nonce_size(const tls_suite& suite) noexcept {
    return suite.fixed_nonce == 4 ? 8 : 0;
}

void put_header(std::uint8_t* to, content_type type, std::size_t length) noexcept {
    to[0] = static_cast<std::uint8_t>(type);
    to[1] = 3; // TLS 1.2's number, in TLS 1.3 too (RFC 8446, 5.1)
    to[2] = 3;
    to[3] = static_cast<std::uint8_t>(length >> 8);
    to[4] = static_cast<std::uint8_t>(length);
}

void put_number(std::uint8_t* to, std::uint64_t number) noexcept {
    for (int i = 0; i < 8; ++i)
        to[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
}

/// Additional data of TLS 1.2 (RFC 5246, 6.2.3.3).
std::array<std::uint8_t, 13> additional_data(std::uint64_t sequence, std::uint8_t type,
                                             std::size_t length) noexcept {
    std::array<std::uint8_t, 13> data{};
    put_number(data.data(), sequence);
    put_header(data.data() + 8, static_cast<content_type>(type), length);
    return data;
}

[[noreturn]] void fail() {
    throw std::runtime_error("libcrypto can't protect a TLS record");
}

bool is_aes(const tls_suite& suite) noexcept {
    return suite.cipher[0] == 'A';
}

/// libcrypto's own object, fetched once: a fetch by name for each use would cost more than the sealing.
const EVP_CIPHER* cipher_of(const tls_suite& suite) {
    static const EVP_CIPHER* const aes128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
    static const EVP_CIPHER* const aes256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    static const EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    const EVP_CIPHER* const found = !is_aes(suite) ? chacha : suite.key_size == 16 ? aes128 : aes256;
    if (found == nullptr)
        fail();
    return found;
}

} // namespace

std::size_t record_prefix(const tls_suite& suite) noexcept {
    return record_header_size + explicit_nonce_size(suite);
}

std::size_t record_overhead(const tls_suite& suite) noexcept {
    return record_prefix(suite) + (suite.version == tls13 ? 1 : 0) + tag_size;
}

record_cipher::record_cipher(bool may_be_fast) : context_(EVP_CIPHER_CTX_new()) {
    if (!context_)
        throw std::bad_alloc();
    if (may_be_fast && fast_gcm::usable())
        fast_.emplace();
}

/// Whether it is another key than the last.
bool record_cipher::take_key(const traffic_key& key, bool sealing) {
    const auto bytes = key.key();
    if (last_suite_ == &key.suite() && last_sealing_ == sealing &&
        std::equal(bytes.begin(), bytes.end(), last_key_.begin()))
        return false;
    last_suite_ = &key.suite();
    last_sealing_ = sealing;
    std::copy(bytes.begin(), bytes.end(), last_key_.begin());
    return true;
}

void record_cipher::use(const traffic_key& key, bool sealing, const std::uint8_t* nonce) {
    const bool is_new = take_key(key, sealing);
    if (EVP_CipherInit_ex(context_.get(), is_new ? cipher_of(key.suite()) : nullptr, nullptr,
                          is_new ? key.key().data() : nullptr, nonce, sealing ? 1 : 0) != 1) {
        last_suite_ = nullptr;
        fail();
    }
}

/// Encrypts in place, and puts the tag behind.
void record_cipher::protect(const traffic_key& key, std::uint64_t sequence,
                            std::span<const std::uint8_t> additional_data, std::span<std::uint8_t> text,
                            std::uint8_t* tag) {
    const auto nonce = key.nonce(sequence);
    if (fast_ && is_aes(key.suite())) {
        if (take_key(key, true))
            fast_->set_key(key.key());
        return fast_->seal(nonce, additional_data, text, tag);
    }
    use(key, true, nonce.data());
    int taken = 0;
    if (EVP_EncryptUpdate(context_.get(), nullptr, &taken, additional_data.data(),
                          static_cast<int>(additional_data.size())) != 1 ||
        EVP_EncryptUpdate(context_.get(), text.data(), &taken, text.data(), static_cast<int>(text.size())) !=
            1 ||
        EVP_EncryptFinal_ex(context_.get(), text.data() + taken, &taken) != 1 ||
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, tag) != 1)
        fail();
}

void record_cipher::wipe() noexcept {
    EVP_CIPHER_CTX_reset(context_.get());
    if (fast_)
        fast_->wipe();
    OPENSSL_cleanse(last_key_.data(), last_key_.size());
    last_suite_ = nullptr;
}

void record_cipher::seal(const traffic_key& key, std::uint64_t sequence, content_type type,
                         std::span<std::uint8_t> record) {
    const tls_suite& suite = key.suite();
    const bool inner_type = suite.version == tls13;
    std::uint8_t* const body = record.data() + record_prefix(suite);
    std::size_t body_size = record.size() - record_overhead(suite);
    if (inner_type) {
        body[body_size++] = static_cast<std::uint8_t>(type);
        put_header(record.data(), content_type::application_data, record.size() - record_header_size);
        protect(key, sequence, record.first(record_header_size), {body, body_size}, body + body_size);
    } else {
        put_header(record.data(), type, record.size() - record_header_size);
        if (explicit_nonce_size(suite) != 0)
            put_number(record.data() + record_header_size, sequence);
        const auto data = additional_data(sequence, static_cast<std::uint8_t>(type), body_size);
        protect(key, sequence, data, {body, body_size}, body + body_size);
    }
}

std::optional<record_cipher::opened> record_cipher::open(const traffic_key& key, std::uint64_t sequence,
                                                         std::span<std::uint8_t> record) {
    const tls_suite& suite = key.suite();
    if (record.size() < record_overhead(suite))
        return std::nullopt;
    const bool inner_type = suite.version == tls13;
    std::uint8_t* const body = record.data() + record_prefix(suite);
    std::size_t body_size = record.size() - record_prefix(suite) - tag_size;
    auto nonce = key.nonce(sequence);
    if (const std::size_t size = explicit_nonce_size(suite))
        std::memcpy(nonce.data() + 4, record.data() + record_header_size,
                    size); // the sender chooses it (RFC 5288)
    use(key, false, nonce.data());
    int taken = 0;
    if (inner_type) {
        if (record[0] != static_cast<std::uint8_t>(content_type::application_data) ||
            EVP_DecryptUpdate(context_.get(), nullptr, &taken, record.data(), record_header_size) != 1)
            return std::nullopt;
    } else {
        const auto data = additional_data(sequence, record[0], body_size);
        if (EVP_DecryptUpdate(context_.get(), nullptr, &taken, data.data(), data.size()) != 1)
            return std::nullopt;
    }
    if (EVP_DecryptUpdate(context_.get(), body, &taken, body, static_cast<int>(body_size)) != 1 ||
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, tag_size, body + body_size) != 1 ||
        EVP_DecryptFinal_ex(context_.get(), body + taken, &taken) != 1)
        return std::nullopt;
    auto type = static_cast<content_type>(record[0]);
    if (inner_type) {
        // Padding: zeros after the type (RFC 8446, 5.4).
        while (body_size > 0 && body[body_size - 1] == 0)
            --body_size;
        if (body_size == 0)
            return std::nullopt;
        type = static_cast<content_type>(body[--body_size]);
    }
    if (body_size > max_record_plaintext)
        return std::nullopt;
    return opened{type, {body, body_size}};
}

} // namespace dlhandoff::engine
