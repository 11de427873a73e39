#pragma once

#include "mod_dlhandoff/decline.hpp"

#include <cstdint>
#include <optional>

namespace dlhandoff::httpd {

/// What became of an offer: a manager owns the response now, or httpd serves it.
struct handoff_result {
    std::optional<decline> declined; ///< nothing: claimed
    int error = 0;                   ///< errno of the call that failed, 0 if none did
    std::uint16_t manager_wire =
        0; ///< with decline_reason::wire_version: the manager's, 0 if it is no manager
    [[nodiscard]] bool claimed() const noexcept { return !declined; }
};

} // namespace dlhandoff::httpd
