#pragma once

#include "dlmanagerd/configuration.hpp"

/// The service's own log: what it does and what goes wrong, for its admin. (Downloads are in the transfer
/// log.) It is spdlog's default logger, so every source logs with spdlog::info() and so on.
namespace dlhandoff::service {

/// Logs to standard error from now on. Under systemd, which stamps each line itself, a line begins with its
/// priority (sd-daemon(3)); otherwise with time, program and process.
void start_service_log();

void set_service_log_level(log_level least);

} // namespace dlhandoff::service
