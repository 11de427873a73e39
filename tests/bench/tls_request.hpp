#pragma once

#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <string>

namespace dlhandoff::bench {

/// The beginning of an HTTPS download, with OpenSSL: TLS 1.3 handshake, TLS_AES_256_GCM_SHA384, whatever the
/// certificate, and a request. What the server sends then is left in the socket: clients drop it as it is, so
/// that decrypting doesn't make them slower than the server.
class tls_request {
  public:
    /// Borrows a socket that connects or is connected, non-blocking.
    tls_request(int socket, std::string request);

    enum class progress { waits, sent, failed };
    /// Goes on as far as it can without waiting.
    [[nodiscard]] progress go_on();
    /// For who does want the answer decrypted: as SSL_read(3).
    [[nodiscard]] int read(std::span<char> into);
    /// Whether the last read() found too little yet.
    [[nodiscard]] bool waits() const noexcept { return SSL_want(ssl_.get()) != SSL_NOTHING; }
    /// Whether the server has said close_notify.
    [[nodiscard]] bool has_ended() const noexcept { return SSL_get_shutdown(ssl_.get()) != 0; }
    /// What it waits for: POLLIN or POLLOUT.
    [[nodiscard]] short waits_for() const noexcept;

  private:
    struct free_ssl {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };
    std::unique_ptr<SSL, free_ssl> ssl_;
    std::string request_;
};

} // namespace dlhandoff::bench
