#include "mod_dlhandoff/mpm.hpp"

#include <ap_mpm.h>
#include <climits>
#include <mpm_common.h>

namespace dlhandoff::httpd {

bool is_prefork() noexcept {
    static const bool prefork = [] {
        int threads = AP_MPMQ_NOT_SUPPORTED;
        return ap_mpm_query(AP_MPMQ_IS_THREADED, &threads) != APR_SUCCESS || threads == AP_MPMQ_NOT_SUPPORTED;
    }();
    return prefork;
}

void leave_out_of_connection_count() noexcept {
    // prefork compares what it has accepted with this, before each accept(). The variable is
    // MaxConnectionsPerChild; after the fork it is this child's own.
    if (is_prefork() && ap_max_requests_per_child > 0 && ap_max_requests_per_child < INT_MAX)
        ++ap_max_requests_per_child;
}

} // namespace dlhandoff::httpd
