#pragma once

#include "dlmanagerd/configuration/configuration.hpp"

#include <string>
#include <variant>

namespace dlhandoff::service {

/// How a dlmanagerd process ends. 0 is a clean end.
enum class exit_status : int { clean = 0, run_time = 1, usage = 2 };

struct command_line {
    std::string config;        ///< the configuration file; empty: the defaults
    std::string listen;        ///< overrides the configuration's; empty: does not
    std::string managers;      ///< "auto" or a number: likewise
    bool check_config = false; ///< say whether the configuration is fine, and end
};

/// What was asked for, or, after --help, --version or a mistake (which it has printed), how to end.
[[nodiscard]] std::variant<command_line, exit_status> parse_command_line(int argc, const char* const* argv);

/// The configuration that a command line asks for. Throws configuration_error.
[[nodiscard]] configuration configuration_of(const command_line& asked);

} // namespace dlhandoff::service
