#include "mod_dlhandoff/tls_export.hpp"

#include "engine/tls/tls_suite.hpp"
#include "mod_dlhandoff/tls12_keys.hpp"
#include "mod_dlhandoff/tls_library.hpp"

#include <ap_hooks.h>
#include <apr_hash.h>
#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <array>
#include <cstring>
#include <http_connection.h>
#include <http_ssl.h>
#include <new>
#include <string_view>
#include <utility>

#if __has_include(<mod_ssl_openssl.h>)
#include <mod_ssl_openssl.h>
#else
// mod_ssl's optional hooks, as mod_ssl_openssl.h declares them: not every httpd comes with that header.
extern "C" {
using ssl_HOOK_init_server_t = int(server_rec*, apr_pool_t*, int, SSL_CTX*);
using ssl_HOOK_pre_handshake_t = int(conn_rec*, SSL*, int);
}
#endif

namespace dlhandoff::httpd {
namespace {

const tls_library* library = nullptr;
bool said_why_not = false; ///< once is enough: each virtual host asks
/// SSL_CTX → the key log callback that was there before; as long-lived as the configuration. Only read after
/// start.
apr_hash_t* earlier_callbacks = nullptr;
constexpr apr_ssize_t key_size = sizeof(void*); ///< its keys are pointers, by value

/// What was seen of one connection. In its pool; wiped with it.
struct observed {
    SSL* ssl = nullptr;
    secret_value<tls_session> session; ///< the secrets of TLS 1.3, and the counts of both versions
    bool writing = false;              ///< the write keys are those that protect data, and are counted
    bool reading = false;
    bool unknown = false; ///< a KeyUpdate: the counts and keys seen are no longer the ones in use
};

apr_status_t wipe(void* data) noexcept {
    static_cast<observed*>(data)->session.wipe();
    return APR_SUCCESS;
}

observed* observed_of(conn_rec* c) noexcept {
    return static_cast<observed*>(ap_get_module_config(c->conn_config, &dlhandoff_module));
}

/// mod_ssl keeps its connection in the SSL object's application data, which is index 0 (SSL_get_app_data).
observed* observed_of(const SSL* ssl) noexcept {
    auto* const c = static_cast<conn_rec*>(library->get_ex_data(ssl, 0));
    return c != nullptr ? observed_of(c) : nullptr;
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The last field of a key log line, if the line is of this label: "LABEL client_random secret".
bool take_secret(std::string_view line, std::string_view label, std::array<std::uint8_t, 48>& into) noexcept {
    if (!line.starts_with(label) || line.size() <= label.size() || line[label.size()] != ' ')
        return false;
    const std::string_view hex = line.substr(line.rfind(' ') + 1);
    if (hex.size() % 2 != 0 || hex.size() / 2 > into.size())
        return false;
    for (std::size_t i = 0; i < hex.size() / 2; ++i) {
        const int high = hex_digit(hex[2 * i]);
        const int low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        into[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
}

extern "C" void on_key_log(const SSL* ssl, const char* line) {
    if (observed* const seen = observed_of(ssl)) {
        if (take_secret(line, "SERVER_TRAFFIC_SECRET_0", seen->session->write_secret)) {
            seen->writing = true;
            seen->session->write_sequence = 0;
        } else {
            (void)take_secret(line, "CLIENT_TRAFFIC_SECRET_0", seen->session->read_secret);
        }
    }
    const SSL_CTX* const ctx = library->get_ctx(ssl);
    void* const before = apr_hash_get(earlier_callbacks, &ctx, key_size);
    if (before != nullptr)
        reinterpret_cast<SSL_CTX_keylog_cb_func>(before)(ssl, line);
}

/// OpenSSL 3.5's TLSEXT_max_fragment_length_UNSPECIFIED.
constexpr std::uint8_t max_fragment_unspecified = 255;

constexpr std::uint8_t record_change_cipher_spec = 20;
constexpr std::uint8_t record_application_data = 23;
constexpr std::uint8_t message_finished = 20;
constexpr std::uint8_t message_key_update = 24;

/// A record header of TLS 1.2: after ChangeCipherSpec the count begins at 0, with the Finished message.
void count_tls12(bool write, std::uint8_t type, observed& seen) noexcept {
    bool& counting = write ? seen.writing : seen.reading;
    std::uint64_t& sequence = write ? seen.session->write_sequence : seen.session->read_sequence;
    if (type == record_change_cipher_spec) {
        counting = true;
        sequence = 0;
    } else if (counting) {
        ++sequence;
    }
}

/// A record header of TLS 1.3: all that is protected looks like application data.
void count_tls13(bool write, std::uint8_t type, observed& seen) noexcept {
    if (type != record_application_data)
        return;
    if (write ? seen.writing : seen.reading)
        ++(write ? seen.session->write_sequence : seen.session->read_sequence);
}

extern "C" void on_message(int write, int, int type, const void* data, std::size_t size, SSL* ssl, void*) {
    observed* const seen = observed_of(ssl);
    if (seen == nullptr || size == 0)
        return;
    const auto first = *static_cast<const std::uint8_t*>(data);
    const bool is_tls13 = library->version(ssl) == TLS1_3_VERSION;
    if (type == SSL3_RT_HEADER) {
        is_tls13 ? count_tls13(write != 0, first, *seen) : count_tls12(write != 0, first, *seen);
    } else if (type == SSL3_RT_HANDSHAKE && is_tls13) {
        // The client's first Finished is the last record under its handshake key.
        if (write == 0 && first == message_finished && !seen->reading) {
            seen->reading = true;
            seen->session->read_sequence = 0;
        } else if (first == message_key_update) {
            seen->unknown = true;
        }
    }
}

extern "C" int watch_keys(server_rec* s, apr_pool_t* pconf, int is_proxy, SSL_CTX* ctx) {
    if (is_proxy != 0)
        return OK;
    const char* why_not = "";
    library = tls_library::find(why_not);
    if (library == nullptr) {
        if (!std::exchange(said_why_not, true))
            ap_log_error(
                APLOG_MARK, APLOG_NOTICE, 0, s,
                "mod_dlhandoff leaves HTTPS downloads to httpd: %s; downloads over HTTP are handed off",
                why_not);
        return OK;
    }
    if (earlier_callbacks == nullptr)
        earlier_callbacks = apr_hash_make(pconf);
    const auto before = library->ctx_get_keylog_callback(ctx);
    if (before != on_key_log) {
        auto* const key = static_cast<SSL_CTX**>(apr_pmemdup(pconf, &ctx, key_size));
        apr_hash_set(earlier_callbacks, key, key_size, reinterpret_cast<void*>(before));
        library->ctx_set_keylog_callback(ctx, on_key_log);
    }
    return OK;
}

extern "C" int watch_connection(conn_rec* c, SSL* ssl, int is_proxy) {
    if (is_proxy != 0 || library == nullptr)
        return OK;
    auto* const seen = new (apr_palloc(c->pool, sizeof(observed))) observed;
    seen->ssl = ssl;
    apr_pool_cleanup_register(c->pool, seen, wipe, apr_pool_cleanup_null);
    library->set_msg_callback(ssl, on_message);
    ap_set_module_config(c->conn_config, &dlhandoff_module, seen);
    return OK;
}

} // namespace

void watch_tls() noexcept {
    library = nullptr;
    said_why_not = false;
    earlier_callbacks = nullptr;
    APR_OPTIONAL_HOOK(ssl, init_server, watch_keys, nullptr, nullptr, APR_HOOK_LAST);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, watch_connection, nullptr, nullptr, APR_HOOK_LAST);
}

bool is_tls(conn_rec* c) noexcept {
    return ap_ssl_conn_is_ssl(c) != 0;
}

std::variant<secret_value<tls_session>, decline_reason> export_tls(conn_rec* c) noexcept {
    const observed* const seen = observed_of(c);
    if (seen == nullptr)
        return decline_reason::tls;
    SSL* const ssl = seen->ssl;
    if (seen->unknown || !seen->writing || !seen->reading || library->is_init_finished(ssl) == 0)
        return decline_reason::tls_state;
    if (library->current_compression(ssl) != nullptr)
        return decline_reason::tls_suite;
    // "RH": it waits for a record's header. It says nothing is pending when it has read one, and counted it,
    // of a record whose body has not come.
    if (library->has_pending(ssl) != 0 || std::strcmp(library->read_state(ssl), "RH") != 0)
        return decline_reason::pipelined;
    // The client takes shorter records only than the manager's (RFC 6066, 4).
    const auto max_fragment = library->session_max_fragment_length(library->get_session(ssl));
    if (max_fragment != TLSEXT_max_fragment_length_DISABLED && max_fragment != max_fragment_unspecified)
        return decline_reason::tls_state;
    if (library->get_shutdown(ssl) != 0)
        return decline_reason::client_gone;
    const SSL_CIPHER* const cipher = library->current_cipher(ssl);
    secret_value<tls_session> session = seen->session;
    session->version = static_cast<std::uint16_t>(library->version(ssl));
    session->suite = cipher != nullptr ? library->cipher_number(cipher) : std::uint16_t{0};
    const engine::tls_suite* const suite = engine::find_tls_suite(session->version, session->suite);
    if (suite == nullptr)
        return decline_reason::tls_suite;
    if (suite->version == engine::tls12 && !derive_tls12_keys(*library, ssl, *suite, *session))
        return decline_reason::tls_state;
    return session;
}

void forget_tls(conn_rec* c) noexcept {
    if (const observed* const seen = observed_of(c))
        library->set_shutdown(seen->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

} // namespace dlhandoff::httpd
