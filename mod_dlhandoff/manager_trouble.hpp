#pragma once

#include "engine/client/connection_return.hpp"
#include "engine/files/file_failure.hpp"
#include "engine/transfer_log.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/handoff_result.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// Says in the error log that the manager did not take a download and what to do about it: once a minute at
/// most in each process, whatever the reasons. Says nothing of declines that are not the manager's fault. Any
/// thread.
void report_manager_trouble(request_rec* r, const handoff_result& result,
                            const server_config& config) noexcept;

/// Says that the embedded manager could not give a connection back: on the engine's thread, as often as
/// above.
void report_return_trouble(const engine::return_failure& failure) noexcept;

/// Says that lines of the embedded manager's transfer log are lost, or no longer: on the engine's thread.
/// Each child says so for itself.
void report_log_loss(const engine::transfer_log_loss& loss) noexcept;

/// Hook post_config: says so if a filter of system calls keeps the embedded manager from cachestat(2).
int report_filtered_cachestat(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                              server_rec* main_server) noexcept;
/// Says that the embedded manager could not read a file: likewise.
void report_file_trouble(const engine::file_failure& failure) noexcept;

} // namespace dlhandoff::httpd
