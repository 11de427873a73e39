#pragma once

#include "dlmanagerd/configuration/configuration.hpp"
#include "dlmanagerd/log_throttle.hpp"

#include <spdlog/spdlog.h>
#include <string>
#include <utility>

/// The service's own log: what it does and what goes wrong, for its admin. (Downloads are in the transfer
/// log.) It is spdlog's default logger, so every source logs with spdlog::info() and so on.
namespace dlhandoff::service {

/// Logs to standard error from now on. Under systemd, which stamps each line itself, a line begins with its
/// priority (sd-daemon(3)); otherwise with time, program and process. `manager`: its name, which then comes
/// next; none is the supervisor's.
void start_service_log(const std::string& manager = {});

void set_service_log_level(log_level least);

/// Warns, if the throttle admits it, and then also says how often it did not.
template <class... Values>
void warn(log_throttle& throttle, log_throttle::clock::time_point now,
          spdlog::format_string_t<Values...> format, Values&&... values) {
    if (const auto left_out = throttle.admit(now)) {
        const std::string text = fmt::format(format, std::forward<Values>(values)...);
        if (*left_out == 0)
            spdlog::warn("{}", text);
        else
            spdlog::warn("{} ({} times more since this was last logged)", text, *left_out);
    }
}

} // namespace dlhandoff::service
