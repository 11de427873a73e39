#pragma once

#include "shared/tls_session.hpp"
#include "tests/unit/engine/download.hpp"

#include <memory>
#include <openssl/ssl.h>
#include <string>

namespace dlhandoff::test {

struct free_ssl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};

/// A TCP connection with a TLS handshake behind it, both ends OpenSSL's; the server's end can be gone on with
/// by others.
class tls_peers {
  public:
    /// `suite` is OpenSSL's name: "TLS_AES_128_GCM_SHA256" (TLS 1.3), "ECDHE-RSA-AES128-GCM-SHA256"
    /// (TLS 1.2).
    tls_peers(int version, const std::string& suite);

    /// What a worker would export now.
    [[nodiscard]] tls_session session() const;

    /// Reads what is there into `into` without waiting. False at close_notify; throws at any other end.
    [[nodiscard]] bool read_available(std::string& into, std::size_t most = SIZE_MAX);

    [[nodiscard]] SSL* client() const noexcept { return client_.get(); }
    tcp_pair connection;

  private:
    struct counts;
    std::unique_ptr<SSL_CTX, free_ssl> server_context_;
    std::unique_ptr<SSL_CTX, free_ssl> client_context_;
    std::unique_ptr<SSL, free_ssl> server_;
    std::unique_ptr<SSL, free_ssl> client_;
    tls_session seen_;
    bool writing_ = false;
    bool reading_ = false;

    static void on_key_log(const SSL* ssl, const char* line);
    static void on_message(int write, int version, int type, const void* data, std::size_t size, SSL* ssl,
                           void* self);
};

} // namespace dlhandoff::test
