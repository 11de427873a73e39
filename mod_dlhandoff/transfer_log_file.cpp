#include "mod_dlhandoff/transfer_log_file.hpp"

#include "engine/transfer_log.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/inherited.hpp"
#include "mod_dlhandoff/module.hpp"

#include <apr_pools.h>
#include <cerrno>
#include <unistd.h>

namespace dlhandoff::httpd {
namespace {

apr_status_t close_transfer_log(void*) noexcept {
    ::close(from_parent().transfer_log);
    from_parent().transfer_log = -1;
    return APR_SUCCESS;
}

} // namespace

int open_transfer_log(apr_pool_t* pconf, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept {
    const server_config& config = server_config_of(main_server);
    int& transfer_log = from_parent().transfer_log;
    // In both readings of the configuration at start: after the first httpd has left the terminal, and nobody
    // would see the error.
    if (config.transfer_log_path == nullptr)
        return OK;
    transfer_log = engine::transfer_log::open_file(config.transfer_log_path).release();
    if (transfer_log < 0) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, errno, main_server,
                     "DLHandoffTransferLog: could not open %s for appending; its directory must exist",
                     config.transfer_log_path);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_pool_cleanup_register(pconf, nullptr, close_transfer_log, apr_pool_cleanup_null);
    return OK;
}

} // namespace dlhandoff::httpd
