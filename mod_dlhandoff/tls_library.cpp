#include "mod_dlhandoff/tls_library.hpp"

#include "mod_dlhandoff/module.hpp"

#include <apr_portable.h>
#include <dlfcn.h>
#include <openssl/opensslv.h>

namespace dlhandoff::httpd {
namespace {

template <class Function>
bool look_up(void* where, const char* symbol, Function& into) noexcept {
    into = reinterpret_cast<Function>(::dlsym(where, symbol));
    return into != nullptr;
}

} // namespace

const tls_library* tls_library::find(const char*& why_not) noexcept {
    static tls_library found;
    const module* const mod_ssl = ap_find_linked_module("mod_ssl.c");
    if (mod_ssl == nullptr) {
        why_not = "mod_ssl is not loaded";
        return nullptr;
    }
    // dlsym(3) with a handle searches that object and what it was linked with; a mod_ssl within httpd has no
    // handle.
    void* where = RTLD_DEFAULT;
    if (mod_ssl->dynamic_load_handle != nullptr)
        apr_os_dso_handle_get(&where, static_cast<apr_dso_handle_t*>(mod_ssl->dynamic_load_handle));
    const bool complete =
        look_up(where, "SSL_CTX_get_keylog_callback", found.ctx_get_keylog_callback) &&
        look_up(where, "SSL_CTX_set_keylog_callback", found.ctx_set_keylog_callback) &&
        look_up(where, "SSL_get_SSL_CTX", found.get_ctx) &&
        look_up(where, "SSL_set_msg_callback", found.set_msg_callback) &&
        look_up(where, "SSL_get_ex_data", found.get_ex_data) &&
        look_up(where, "SSL_version", found.version) &&
        look_up(where, "SSL_get_current_cipher", found.current_cipher) &&
        look_up(where, "SSL_CIPHER_get_protocol_id", found.cipher_number) &&
        look_up(where, "SSL_get_current_compression", found.current_compression) &&
        look_up(where, "SSL_is_init_finished", found.is_init_finished) &&
        look_up(where, "SSL_has_pending", found.has_pending) &&
        look_up(where, "SSL_rstate_string", found.read_state) &&
        look_up(where, "SSL_get_shutdown", found.get_shutdown) &&
        look_up(where, "SSL_set_shutdown", found.set_shutdown) &&
        look_up(where, "SSL_get_session", found.get_session) &&
        look_up(where, "SSL_SESSION_get_master_key", found.session_master_key) &&
        look_up(where, "SSL_SESSION_get_max_fragment_length", found.session_max_fragment_length) &&
        look_up(where, "SSL_get_client_random", found.client_random) &&
        look_up(where, "SSL_get_server_random", found.server_random) &&
        look_up(where, "OpenSSL_version_num", found.version_number);
    if (!complete) {
        why_not = "mod_ssl's libssl is not OpenSSL, or one without what is needed";
        return nullptr;
    }
    if (found.version_number() >> 28 != static_cast<unsigned long>(OPENSSL_VERSION_MAJOR)) {
        why_not = "mod_ssl's OpenSSL is of another series than mod_dlhandoff was built for";
        return nullptr;
    }
    return &found;
}

} // namespace dlhandoff::httpd
