#pragma once

#include "mod_dlhandoff/embedded_manager.hpp"

#include <httpd.h>

/// How an httpd child with downloads in it ends: gracefully when these have ended, or at once.
///
/// event and worker tell whether a stop is graceful (hook child_stopping). prefork always says no; there only
/// SIGTERM and SIGHUP mean "at once", so their handlers are chained to see them. Either way the downloads end
/// in a cleanup of the child's pool, when the child has stopped accepting; a SIGTERM that comes meanwhile,
/// the parent's own when it has waited long enough, cuts them. Idle connections are waited for, too, as
/// prefork and worker wait for theirs: each goes to another child with its next request, or ends with
/// KeepAliveTimeout.
namespace dlhandoff::httpd {

/// In child_init: arranges for `manager` to end with the child. It must live as long as the process.
void end_with_child(apr_pool_t* pchild, embedded_manager& manager) noexcept;

/// Hook child_stopping.
void cut_unless_graceful(apr_pool_t* pchild, int graceful) noexcept;

} // namespace dlhandoff::httpd
