#include "tests/bench/tls_request.hpp"

#include <openssl/err.h>
#include <poll.h>
#include <stdexcept>

namespace dlhandoff::bench {
namespace {

SSL_CTX* context() {
    static SSL_CTX* const made = [] {
        SSL_CTX* const one = SSL_CTX_new(TLS_client_method());
        if (one == nullptr || SSL_CTX_set_min_proto_version(one, TLS1_3_VERSION) != 1 ||
            SSL_CTX_set_ciphersuites(one, "TLS_AES_256_GCM_SHA384") != 1)
            throw std::runtime_error("OpenSSL has no TLS 1.3");
        SSL_CTX_set_mode(one, SSL_MODE_RELEASE_BUFFERS);
        return one;
    }();
    return made;
}

} // namespace

tls_request::tls_request(int socket, std::string request)
    : ssl_(SSL_new(context())), request_(std::move(request)) {
    if (!ssl_ || SSL_set_fd(ssl_.get(), socket) != 1)
        throw std::runtime_error("OpenSSL makes no connection");
    SSL_set_connect_state(ssl_.get());
}

tls_request::progress tls_request::go_on() {
    ERR_clear_error();
    const int written = SSL_write(ssl_.get(), request_.data(), static_cast<int>(request_.size()));
    if (written > 0)
        return progress::sent;
    const int why = SSL_get_error(ssl_.get(), written);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? progress::waits : progress::failed;
}

int tls_request::read(std::span<char> into) {
    ERR_clear_error();
    return SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
}

short tls_request::waits_for() const noexcept {
    return SSL_want_write(ssl_.get()) ? POLLOUT : POLLIN;
}

} // namespace dlhandoff::bench
