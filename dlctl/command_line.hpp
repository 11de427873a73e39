#pragma once

#include "shared/admin_protocol.hpp"

#include <string>
#include <variant>

namespace dlhandoff::dlctl {

/// How dlctl ends: `failed` when it can't connect, or the service says that there was an error.
enum class exit_status : int { clean = 0, failed = 1, usage = 2 };

struct command_line {
    std::string socket = admin::default_socket;
    bool json = false;      ///< the answer's lines unchanged
    bool top = false;       ///< status and list again and again, instead of a request
    admin::request request; ///< what to ask
};

/// What was asked for, or, after --help, --version or a mistake (which it has printed), how to end.
[[nodiscard]] std::variant<command_line, exit_status> parse_command_line(int argc, const char* const* argv);

} // namespace dlhandoff::dlctl
