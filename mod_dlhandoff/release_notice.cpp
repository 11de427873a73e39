#include "mod_dlhandoff/release_notice.hpp"

#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/module.hpp"
#include "shared/board.hpp"
#include "shared/release.hpp"
#include "shared/wire.hpp"

#include <http_core.h>

namespace dlhandoff::httpd {

int say_release(apr_pool_t*, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept {
    // httpd reads its configuration twice at its start.
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    const char* const socket = server_config_of(main_server).manager_socket;
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server,
                 "mod_dlhandoff %s (wire %u, board %u), DLHandoffManager %s%s", release(),
                 unsigned{wire_version}, unsigned{board_version}, socket != nullptr ? "unix:" : "embedded",
                 socket != nullptr ? socket : "");
    return OK;
}

} // namespace dlhandoff::httpd
