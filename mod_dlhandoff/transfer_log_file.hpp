#pragma once

#include <httpd.h>

namespace dlhandoff::httpd {

/// Hook open_logs: the parent opens DLHandoffTransferLog, with its own rights, for all its children. Closed
/// with pconf, so a restart opens it anew. An error stops the start.
int open_transfer_log(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                      server_rec* main_server) noexcept;

} // namespace dlhandoff::httpd
