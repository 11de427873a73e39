#include "tests/integration/harness/tls_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace dlhandoff::test {
namespace {

constexpr std::chrono::milliseconds patience = 30s;
constexpr std::uint8_t handshake_key_update = 24;

[[noreturn]] void throw_openssl(const std::string& what) {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    throw std::runtime_error(what + ": " + text.data());
}

file_descriptor connected_socket(const std::string& address, std::uint16_t port, int receive_buffer) {
    file_descriptor made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(port);
    if (!made || ::inet_pton(AF_INET, address.c_str(), &server.sin_addr) != 1)
        throw_errno("socket");
    if (receive_buffer != 0 &&
        ::setsockopt(made.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0)
        throw_errno("setsockopt(SO_RCVBUF)");
    if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) < 0)
        throw_errno("connect");
    return made;
}

void configure(SSL_CTX* context, const tls_client_options& options) {
    if (SSL_CTX_set_min_proto_version(context, options.version) != 1 ||
        SSL_CTX_set_max_proto_version(context, options.version) != 1)
        throw_openssl("SSL_CTX_set_min_proto_version");
    if (!options.suite.empty() &&
        (options.version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, options.suite.c_str())
                                           : SSL_CTX_set_cipher_list(context, options.suite.c_str())) != 1)
        throw_openssl(options.suite);
    if (!options.certificate.empty() &&
        (SSL_CTX_use_certificate_file(context, options.certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, options.certificate.c_str(), SSL_FILETYPE_PEM) != 1))
        throw_openssl(options.certificate);
    SSL_CTX_set_post_handshake_auth(context, options.offer_certificate_later ? 1 : 0);
    if (options.ask_for_status)
        SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp);
}

} // namespace

tls_client::tls_client(const std::string& address, std::uint16_t port, const tls_client_options& options)
    : socket_(connected_socket(address, port, options.receive_buffer)), bytes_a_read_(options.bytes_a_read),
      context_(SSL_CTX_new(TLS_client_method())) {
    if (!context_)
        throw_openssl("SSL_CTX_new");
    configure(context_.get(), options);
    ssl_.reset(SSL_new(context_.get()));
    BIO* const from_server = BIO_new(BIO_s_mem());
    BIO* const to_server = BIO_new(BIO_s_mem());
    if (!ssl_ || from_server == nullptr || to_server == nullptr)
        throw_openssl("SSL_new");
    BIO_set_mem_eof_return(from_server, -1);
    SSL_set_bio(ssl_.get(), from_server, to_server);
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_info_callback(ssl_.get(), &on_info);
    SSL_set_msg_callback(ssl_.get(), &on_message);
    SSL_set_msg_callback_arg(ssl_.get(), this);
    if (options.max_fragment != 0 &&
        SSL_set_tlsext_max_fragment_length(ssl_.get(), options.max_fragment) != 1)
        throw_openssl("SSL_set_tlsext_max_fragment_length");
    if (!options.server_name.empty())
        // SSL_set_tlsext_host_name(), which is a macro with an old-style cast.
        SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(options.server_name.c_str()));
    if (options.session != nullptr && SSL_set_session(ssl_.get(), options.session) != 1)
        throw_openssl("SSL_set_session");
    for (int done; (done = SSL_connect(ssl_.get())) != 1;)
        if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ || !receive())
            throw_openssl("TLS handshake");
    flush();
}

tls_client::~tls_client() {
    // A session is not resumed if its connection was not shut down (SSL_clear(3)).
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void tls_client::on_info(const SSL* ssl, int where, int value) {
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
        static_cast<tls_client*>(SSL_get_app_data(ssl))->last_warning_ = value & 0xff;
}

void tls_client::on_message(int write, int, int type, const void* data, std::size_t size, SSL*, void* self) {
    if (write == 0 && type == SSL3_RT_HANDSHAKE && size > 0 &&
        *static_cast<const std::uint8_t*>(data) == handshake_key_update)
        ++static_cast<tls_client*>(self)->server_key_updates_;
}

void tls_client::send(std::string_view text) {
    if (SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) != static_cast<int>(text.size()))
        throw_openssl("SSL_write");
    flush();
}

void tls_client::update_keys(bool both) {
    if (SSL_key_update(ssl_.get(), both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
        SSL_do_handshake(ssl_.get()) != 1)
        throw_openssl("SSL_key_update");
    flush();
}

void tls_client::ask_to_renegotiate() {
    if (SSL_renegotiate(ssl_.get()) != 1)
        throw_openssl("SSL_renegotiate");
}

void tls_client::flush() {
    std::array<char, 16384> buffer;
    for (int size; (size = BIO_read(SSL_get_wbio(ssl_.get()), buffer.data(), buffer.size())) > 0;) {
        send_raw(std::exchange(held_back_, {}));
        send_raw({buffer.data(), static_cast<std::size_t>(size)});
    }
}

void tls_client::send_raw(std::string_view bytes) {
    while (!bytes.empty()) {
        // Not by OpenSSL's own socket BIO, whose write(2) raises SIGPIPE.
        const ssize_t taken = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0)
            return;
        bytes.remove_prefix(static_cast<std::size_t>(taken));
    }
}

void tls_client::send_and_begin(std::string_view first, std::string_view second, std::size_t bytes) {
    std::string sealed;
    std::size_t begin = 0;
    for (const std::string_view text : {first, second}) {
        begin = sealed.size();
        if (SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) !=
            static_cast<int>(text.size()))
            throw_openssl("SSL_write");
        std::array<char, 16384> buffer;
        for (int size; (size = BIO_read(SSL_get_wbio(ssl_.get()), buffer.data(), buffer.size())) > 0;)
            sealed.append(buffer.data(), static_cast<std::size_t>(size));
    }
    send_raw(std::string_view(sealed).substr(0, begin + bytes));
    held_back_ = sealed.substr(begin + bytes);
}

bool tls_client::receive() {
    flush();
    pollfd wanted{socket_.get(), POLLIN, 0};
    int ready;
    do {
        ready = ::poll(&wanted, 1, static_cast<int>(patience.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        throw std::runtime_error("the server sent nothing more in time; unread so far: " +
                                 std::to_string(unread_.size()) + " bytes");
    std::array<char, 65536> buffer;
    const ssize_t received = ::recv(socket_.get(), buffer.data(), std::min(buffer.size(), bytes_a_read_), 0);
    if (received <= 0)
        return false;
    return BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(received)) == received;
}

bool tls_client::fill() {
    std::array<char, 16384> buffer;
    while (!ended_) {
        ERR_clear_error();
        const int got = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (got > 0) {
            unread_.append(buffer.data(), static_cast<std::size_t>(got));
            return true;
        }
        const int error = SSL_get_error(ssl_.get(), got);
        if (error == SSL_ERROR_WANT_READ && receive())
            continue;
        ended_ = true;
        ended_cleanly_ = error == SSL_ERROR_ZERO_RETURN;
    }
    return false;
}

std::string tls_client::read_head() {
    std::size_t end;
    while ((end = unread_.find("\r\n\r\n")) == std::string::npos)
        if (!fill())
            return std::exchange(unread_, {});
    std::string head = unread_.substr(0, end + 4);
    unread_.erase(0, end + 4);
    return head;
}

std::string tls_client::read(std::size_t count) {
    while (unread_.size() < count && fill()) {
    }
    std::string bytes = unread_.substr(0, count);
    unread_.erase(0, bytes.size());
    return bytes;
}

std::string tls_client::read_to_end() {
    while (fill()) {
    }
    return std::exchange(unread_, {});
}

std::string tls_client::stapled_status() const {
    // SSL_get_tlsext_status_ocsp_resp(), which is a macro with an old-style cast.
    unsigned char* response = nullptr;
    const long size = SSL_ctrl(ssl_.get(), SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &response);
    return size > 0 ? std::string(reinterpret_cast<const char*>(response), static_cast<std::size_t>(size))
                    : std::string();
}

std::string tls_client::server_common_name() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl_.get()),
                                                                  &X509_free);
    std::array<char, 256> name{};
    if (!certificate || X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName,
                                                  name.data(), static_cast<int>(name.size())) < 0)
        return {};
    return name.data();
}

} // namespace dlhandoff::test
