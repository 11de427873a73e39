#include "mod_dlhandoff/limit_ledger.hpp"

#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/inherited.hpp"
#include "mod_dlhandoff/module.hpp"

#include <algorithm>
#include <ap_mpm.h>
#include <exception>
#include <http_core.h>
#include <utility>

namespace dlhandoff::httpd {
namespace {

apr_status_t forget(void* made) noexcept {
    from_parent().limit_ledger = nullptr;
    delete static_cast<engine::ledger*>(made);
    return APR_SUCCESS;
}

} // namespace

int make_limit_ledger(apr_pool_t* pconf, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept try {
    const server_config& config = server_config_of(main_server);
    const engine::limits& limits = config.embedded_limits;
    if (config.manager_socket != nullptr || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    // Without limits, the children only count each other: nobody looks for a client.
    const bool limited = limits.transfers != 0 || limits.per_client != 0;
    int children = 0;
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children);
    auto* const made = new engine::ledger(engine::ledger::create(
        std::clamp(static_cast<std::uint32_t>(std::max(children, 1)), 1U, engine::ledger::max_members),
        limited ? engine::ledger::common_bits : engine::ledger::min_bits));
    // The parent's: a child's mapping goes with the child, after its engine.
    apr_pool_cleanup_register(pconf, made, forget, apr_pool_cleanup_null);
    from_parent().limit_ledger = made;
    return OK;
} catch (const std::exception& failure) {
    // Not worth a restart that fails.
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, main_server,
                 "mod_dlhandoff: the children of httpd can't share limits, so that each keeps them alone: %s",
                 failure.what());
    return OK;
}

} // namespace dlhandoff::httpd
