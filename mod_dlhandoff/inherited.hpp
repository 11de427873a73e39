#pragma once

#include "engine/limits/ledger.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// What httpd's parent makes while it starts, by its configuration, for the embedded managers of all its
/// children, which inherit it. Each part goes with pconf: as long as one reading of the configuration.
struct inherited {
    int transfer_log = -1;                        ///< open for appending; -1: none
    const engine::ledger* limit_ledger = nullptr; ///< what the children use of limits; nullptr: none
};

/// This process's; the parent's hooks fill it in.
[[nodiscard]] inherited& from_parent() noexcept;

} // namespace dlhandoff::httpd
