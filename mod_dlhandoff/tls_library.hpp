#pragma once

#include <openssl/ssl.h>

namespace dlhandoff::httpd {

/// The functions of the very libssl that mod_ssl uses, found through mod_ssl's own handle: this module isn't
/// linked with any, so it loads without one, and never mixes the objects of two.
struct tls_library {
    decltype(&::SSL_CTX_get_keylog_callback) ctx_get_keylog_callback;
    decltype(&::SSL_CTX_set_keylog_callback) ctx_set_keylog_callback;
    decltype(&::SSL_get_SSL_CTX) get_ctx;
    decltype(&::SSL_set_msg_callback) set_msg_callback;
    decltype(&::SSL_get_ex_data) get_ex_data;
    decltype(&::SSL_version) version;
    decltype(&::SSL_get_current_cipher) current_cipher;
    decltype(&::SSL_CIPHER_get_protocol_id) cipher_number;
    decltype(&::SSL_get_current_compression) current_compression;
    decltype(&::SSL_is_init_finished) is_init_finished;
    decltype(&::SSL_has_pending) has_pending;
    decltype(&::SSL_rstate_string) read_state;
    decltype(&::SSL_get_shutdown) get_shutdown;
    decltype(&::SSL_set_shutdown) set_shutdown;
    decltype(&::SSL_get_session) get_session;
    decltype(&::SSL_SESSION_get_master_key) session_master_key;
    decltype(&::SSL_SESSION_get_max_fragment_length) session_max_fragment_length;
    decltype(&::SSL_get_client_random) client_random;
    decltype(&::SSL_get_server_random) server_random;
    decltype(&::OpenSSL_version_num) version_number;

    /// Null, with the reason in `why_not`, if mod_ssl isn't loaded or its OpenSSL is of another series than
    /// the one that this module was built for. Valid as long as mod_ssl stays loaded. From hooks of mod_ssl
    /// only.
    [[nodiscard]] static const tls_library* find(const char*& why_not) noexcept;
};

} // namespace dlhandoff::httpd
