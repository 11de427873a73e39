#pragma once

#include <httpd.h>

/// What the children of one httpd share of the embedded manager's limits, so that these hold over all of
/// them, and by which they know how many have the kernel's memory together. After a graceful restart the new
/// children share among themselves: the old ones only finish what they have.
namespace dlhandoff::httpd {

/// Hook post_config: makes the ledger, if the manager is embedded.
int make_limit_ledger(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                      server_rec* main_server) noexcept;

} // namespace dlhandoff::httpd
