#pragma once

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/eventually.hpp"

#include <cstdint>
#include <memory>
#include <openssl/ssl.h>
#include <string>
#include <string_view>

namespace dlhandoff::test {

struct tls_client_options {
    int version = TLS1_3_VERSION;         ///< this one alone
    std::string suite{};                  ///< OpenSSL's name, this one alone; empty: OpenSSL's choice
    std::string server_name{};            ///< SNI; empty: none
    std::string certificate{};            ///< the client's: a PEM file with certificate and key
    bool ask_for_status = false;          ///< status_request: a stapled OCSP response is wanted
    bool offer_certificate_later = false; ///< TLS 1.3's post_handshake_auth
    SSL_SESSION* session = nullptr;       ///< to resume; only borrowed
    std::uint8_t max_fragment = 0;        ///< RFC 6066's max_fragment_length, 1: 512 bytes; 0: not asked for
    int receive_buffer = 0;               ///< SO_RCVBUF, so that the server can't send far ahead; 0 leaves it
    std::size_t bytes_a_read = 65536;     ///< taken from the socket at a time at most
};

/// A TLS client for what libcurl would not do: KeyUpdate, renegotiation, several requests in a record,
/// reading byte by byte, looking into the session.
///
/// Every wait has a deadline; a passed one, and a failed handshake, throw std::runtime_error.
class tls_client {
  public:
    /// Connects and does the handshake.
    tls_client(const std::string& address, std::uint16_t port, const tls_client_options& options = {});
    ~tls_client();
    tls_client(const tls_client&) = delete;
    tls_client& operator=(const tls_client&) = delete;

    /// In one record, if it fits.
    void send(std::string_view text);
    /// Sends `first`, and of the record with `second` so many bytes only; the others with whatever is sent
    /// next.
    void send_and_begin(std::string_view first, std::string_view second, std::size_t bytes);
    /// Sends a KeyUpdate (TLS 1.3); `both`: asks the server for one of its own, too.
    void update_keys(bool both);
    /// Sends a ClientHello (TLS 1.2) with the next read; only that can have data come between the handshake's
    /// messages.
    void ask_to_renegotiate();

    /// The next response's head, its empty line included.
    [[nodiscard]] std::string read_head();
    /// Exactly so many bytes, or fewer if the connection ends.
    [[nodiscard]] std::string read(std::size_t count);
    /// Everything up to the connection's end.
    [[nodiscard]] std::string read_to_end();

    /// How the connection has ended: with close_notify, or else (end of file, reset, alert).
    [[nodiscard]] bool ended_cleanly() const noexcept { return ended_cleanly_; }
    /// OpenSSL's description of what the server's last warning alert was, such as 100 (no_renegotiation).
    [[nodiscard]] int last_warning() const noexcept { return last_warning_; }
    /// KeyUpdate messages that the server has sent.
    [[nodiscard]] int server_key_updates() const noexcept { return server_key_updates_; }
    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }
    /// The OCSP response (DER) that came with the handshake; empty: none.
    [[nodiscard]] std::string stapled_status() const;
    /// The server's certificate's common name.
    [[nodiscard]] std::string server_common_name() const;

  private:
    /// Decrypts what comes next; false at the connection's end.
    bool fill();
    /// From the socket into OpenSSL; false at the end of file or a reset. Sends first what waits to be sent.
    bool receive();
    /// From OpenSSL into the socket. A server that has gone is noticed when reading.
    void flush();
    void send_raw(std::string_view bytes);
    static void on_info(const SSL* ssl, int where, int value);
    static void on_message(int write, int version, int type, const void* data, std::size_t size, SSL* ssl,
                           void* self);

    struct free_ssl {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };
    file_descriptor socket_;
    std::size_t bytes_a_read_;
    std::unique_ptr<SSL_CTX, free_ssl> context_;
    std::unique_ptr<SSL, free_ssl> ssl_;
    std::string unread_;
    std::string held_back_; ///< of a record that was begun
    bool ended_ = false;
    bool ended_cleanly_ = false;
    int last_warning_ = -1;
    int server_key_updates_ = 0;
};

} // namespace dlhandoff::test
