#pragma once

#include "shared/board.hpp"

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>

namespace dlhandoff {

/// A manager whose heartbeat is older is taken for hung, or for held up.
inline constexpr std::chrono::milliseconds heartbeat_limit{100};

using manager_set = std::bitset<most_managers>;

struct manager_choice {
    std::uint32_t index = 0; ///< on the board
    bool room = false;       ///< whether it takes offers at all
    bool fresh = false;      ///< whether its heartbeat is younger than heartbeat_limit
};

[[nodiscard]] bool is_fresh(const manager_status& one, std::chrono::steady_clock::time_point now) noexcept;

/// Which manager an offer or a connection should go to, by the board: of those that live and are not in
/// `except` one with room, whose heartbeat is fresh, of the lowest rank, with the least load, with the fewest
/// connections; each counts only among those that are equal in what comes before it. Nothing if none lives.
/// Reads memory only.
[[nodiscard]] std::optional<manager_choice> choose_manager(const board& the_board,
                                                           std::chrono::steady_clock::time_point now,
                                                           const manager_set& except = {}) noexcept;

} // namespace dlhandoff
