// The module record, and which hook calls what.

#include "mod_dlhandoff/child.hpp"
#include "mod_dlhandoff/child_end.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/handoff_filter.hpp"
#include "mod_dlhandoff/limit_ledger.hpp"
#include "mod_dlhandoff/manager_trouble.hpp"
#include "mod_dlhandoff/module.hpp"
#include "mod_dlhandoff/release_notice.hpp"
#include "mod_dlhandoff/return_socket.hpp"
#include "mod_dlhandoff/returned_connection.hpp"
#include "mod_dlhandoff/tls_export.hpp"
#include "mod_dlhandoff/transfer_log_file.hpp"

#include <array>
#include <http_connection.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>

namespace dlhandoff::httpd {
namespace {

// A group for each of httpd's occasions, in the order in which they come.

/// Reading the configuration, in the parent: at start, with each restart, and for configtest.
void hook_configuration() noexcept {
    // Every MPM's own comes there, too: before them all.
    static constexpr std::array<const char*, 4> mpms{"prefork.c", "worker.c", "event.c", nullptr};
    ap_hook_pre_config(keep_return_socket, nullptr, mpms.data(), APR_HOOK_REALLY_FIRST);
    ap_hook_check_config(check_directives, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_check_config(open_return_socket, nullptr, nullptr, APR_HOOK_LAST);
}

/// Starting with it, still in the parent: what children inherit.
void hook_start() noexcept {
    ap_hook_open_logs(open_transfer_log, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_open_logs(share_return_socket, nullptr, nullptr, APR_HOOK_LAST);
    ap_hook_post_config(say_release, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(make_limit_ledger, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_post_config(report_filtered_cachestat, nullptr, nullptr, APR_HOOK_MIDDLE);
    watch_tls();
}

/// The life of a child.
void hook_children() noexcept {
    ap_hook_child_init(child::make, nullptr, nullptr, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(cut_unless_graceful, nullptr, nullptr, APR_HOOK_MIDDLE);
}

void hook_connections() noexcept {
    ap_hook_create_connection(receive_returned, nullptr, nullptr, APR_HOOK_FIRST);
    ap_hook_pre_connection(go_on_counting, nullptr, nullptr, APR_HOOK_MIDDLE);
}

void hook_requests() noexcept {
    register_handoff_filter();
    // First, so that every other filter of the same place lies between this one and the socket, where it is
    // seen.
    ap_hook_insert_filter(insert_handoff_filter, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(log_as_the_client_sees_it, nullptr, nullptr, APR_HOOK_REALLY_FIRST);
}

void register_hooks(apr_pool_t*) noexcept {
    hook_configuration();
    hook_start();
    hook_children();
    hook_connections();
    hook_requests();
}

} // namespace
} // namespace dlhandoff::httpd

// Not by its other name, module: at the beginning of a line that is a keyword since C++20.
module_struct AP_MODULE_DECLARE_DATA dlhandoff_module = {STANDARD20_MODULE_STUFF,
                                                         dlhandoff::httpd::create_directory_config,
                                                         dlhandoff::httpd::merge_directory_config,
                                                         dlhandoff::httpd::create_server_config,
                                                         dlhandoff::httpd::merge_server_config,
                                                         dlhandoff::httpd::directives,
                                                         dlhandoff::httpd::register_hooks,
                                                         0};
