#pragma once

#include <httpd.h>

namespace dlhandoff::httpd {

/// Says in the error log, once at each start and restart, which release of the module this is: what to name
/// in a report, and to compare with `dlctl status`. The response header Server does not say it. Hook
/// post_config.
int say_release(apr_pool_t*, apr_pool_t*, apr_pool_t*, server_rec* main_server) noexcept;

} // namespace dlhandoff::httpd
