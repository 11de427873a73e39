#pragma once

#include "dlctl/command_line.hpp"

namespace dlhandoff::dlctl {

/// Shows sums and the fastest transfers again and again, each second: on a terminal in place, until q is
/// pressed; elsewhere one below the other. A signal that says to end has its usual effect afterwards. Throws
/// admin_error if the service can't be reached to begin with; later it waits for it.
[[nodiscard]] exit_status show_top(const command_line& asked);

} // namespace dlhandoff::dlctl
