#include "tests/unit/engine/tls/tls_peers.hpp"

#include <array>
#include <charconv>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>
#include <stdexcept>
#include <string_view>

namespace dlhandoff::test {
namespace {

[[noreturn]] void fail(const char* what) {
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    throw std::runtime_error(std::string(what) + ": " + text);
}

void give_certificate(SSL_CTX* context) {
    static EVP_PKEY* const key = EVP_RSA_gen(2048U);
    X509* const certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* const name = X509_get_subject_name(certificate);
    const unsigned char host[] = "localhost";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    if (X509_sign(certificate, key, EVP_sha256()) == 0 ||
        SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
        fail("certificate");
    X509_free(certificate);
}

void set_nonblocking(int socket) {
    ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
}

void read_secret(std::string_view line, std::string_view label, std::array<std::uint8_t, 48>& into) {
    if (!line.starts_with(label))
        return;
    const std::string_view hex = line.substr(line.rfind(' ') + 1);
    for (std::size_t i = 0; i < hex.size() / 2; ++i)
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, into[i], 16);
}

/// TLS 1.2's key block (RFC 5246, 6.3).
void derive_tls12(const SSL* ssl, tls_session& into) {
    std::array<std::uint8_t, 48> master{};
    SSL_SESSION_get_master_key(SSL_get_session(ssl), master.data(), master.size());
    std::string seed = "key expansion";
    std::array<std::uint8_t, 64> randoms{};
    SSL_get_server_random(ssl, randoms.data(), 32);
    SSL_get_client_random(ssl, randoms.data() + 32, 32);
    seed.append(reinterpret_cast<const char*>(randoms.data()), randoms.size());
    const std::string_view name = SSL_get_cipher_name(ssl);
    const bool sha384 = name.find("SHA384") != std::string_view::npos;
    const bool chacha = name.find("CHACHA") != std::string_view::npos;
    const std::size_t key = sha384 || chacha ? 32 : 16;
    const std::size_t nonce = chacha ? 12 : 4;
    std::string digest = sha384 ? "SHA2-384" : "SHA2-256";
    std::array<std::uint8_t, 88> block{};
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master.data(), master.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()),
        OSSL_PARAM_construct_end()};
    EVP_KDF* const prf = EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr);
    EVP_KDF_CTX* const context = EVP_KDF_CTX_new(prf);
    if (EVP_KDF_derive(context, block.data(), 2 * (key + nonce), parameters) != 1)
        fail("TLS1-PRF");
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(prf);
    std::copy_n(block.begin(), key, into.read_secret.begin());
    std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(key), key, into.write_secret.begin());
    const auto nonces = block.begin() + static_cast<std::ptrdiff_t>(2 * key);
    std::copy_n(nonces, nonce, into.read_secret.begin() + static_cast<std::ptrdiff_t>(key));
    std::copy_n(nonces + static_cast<std::ptrdiff_t>(nonce), nonce,
                into.write_secret.begin() + static_cast<std::ptrdiff_t>(key));
}

} // namespace

void tls_peers::on_key_log(const SSL* ssl, const char* line) {
    auto* const self = static_cast<tls_peers*>(SSL_get_app_data(ssl));
    const std::string_view text = line;
    read_secret(text, "SERVER_TRAFFIC_SECRET_0", self->seen_.write_secret);
    read_secret(text, "CLIENT_TRAFFIC_SECRET_0", self->seen_.read_secret);
    if (text.starts_with("SERVER_TRAFFIC_SECRET_0"))
        self->writing_ = true;
}

void tls_peers::on_message(int write, int, int type, const void* data, std::size_t, SSL* ssl,
                           void* argument) {
    auto* const self = static_cast<tls_peers*>(argument);
    const auto first = *static_cast<const std::uint8_t*>(data);
    const bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    bool& counting = write != 0 ? self->writing_ : self->reading_;
    std::uint64_t& sequence = write != 0 ? self->seen_.write_sequence : self->seen_.read_sequence;
    if (type == SSL3_RT_HEADER && (!tls13 || first == SSL3_RT_APPLICATION_DATA)) {
        if (first == SSL3_RT_CHANGE_CIPHER_SPEC)
            counting = true;
        else if (counting)
            ++sequence;
    } else if (tls13 && type == SSL3_RT_HANDSHAKE && write == 0 && first == SSL3_MT_FINISHED) {
        self->reading_ = true;
    }
}

tls_peers::tls_peers(int version, const std::string& suite)
    : server_context_(SSL_CTX_new(TLS_server_method())), client_context_(SSL_CTX_new(TLS_client_method())) {
    give_certificate(server_context_.get());
    for (SSL_CTX* const context : {server_context_.get(), client_context_.get()}) {
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
        if ((version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, suite.c_str())
                                       : SSL_CTX_set_cipher_list(context, suite.c_str())) != 1)
            fail("cipher suite");
    }
    SSL_CTX_set_keylog_callback(server_context_.get(), on_key_log);
    server_.reset(SSL_new(server_context_.get()));
    client_.reset(SSL_new(client_context_.get()));
    SSL_set_app_data(server_.get(), this);
    SSL_set_msg_callback(server_.get(), on_message);
    SSL_set_msg_callback_arg(server_.get(), this);
    set_nonblocking(connection.client.get());
    set_nonblocking(connection.server.get());
    SSL_set_fd(server_.get(), connection.server.get());
    SSL_set_fd(client_.get(), connection.client.get());
    SSL_set_accept_state(server_.get());
    SSL_set_connect_state(client_.get());
    bool done = false;
    for (int round = 0; !done; ++round) {
        const bool client_done = SSL_do_handshake(client_.get()) == 1;
        done = SSL_do_handshake(server_.get()) == 1 && client_done;
        if (round > 100'000)
            fail("handshake");
    }
    char byte;
    if (SSL_write(client_.get(), "G", 1) != 1)
        fail("request");
    while (SSL_read(server_.get(), &byte, 1) != 1)
        if (SSL_get_error(server_.get(), 0) == SSL_ERROR_SSL)
            fail("request");
}

tls_session tls_peers::session() const {
    tls_session session = seen_;
    session.version = static_cast<std::uint16_t>(SSL_version(server_.get()));
    session.suite =
        static_cast<std::uint16_t>(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(server_.get())));
    if (session.version == TLS1_2_VERSION)
        derive_tls12(server_.get(), session);
    return session;
}

bool tls_peers::read_available(std::string& into, std::size_t most) {
    char buffer[16384];
    while (most > 0) {
        ERR_clear_error();
        const int got = SSL_read(client_.get(), buffer, static_cast<int>(std::min(sizeof buffer, most)));
        if (got > 0) {
            into.append(buffer, static_cast<std::size_t>(got));
            most -= static_cast<std::size_t>(got);
            continue;
        }
        switch (SSL_get_error(client_.get(), got)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return true;
        case SSL_ERROR_ZERO_RETURN:
            return false;
        default:
            fail("SSL_read");
        }
    }
    return true;
}

} // namespace dlhandoff::test
