#pragma once

#include "shared/board.hpp"

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>

namespace dlhandoff {

/// A manager whose heartbeat is older than this is considered hung, or held up.
inline constexpr std::chrono::milliseconds heartbeat_limit{100};

using manager_set = std::bitset<most_managers>;

struct manager_choice {
    std::uint32_t index = 0; ///< on the board
    bool room = false;       ///< whether it takes offers at all
    bool fresh = false;      ///< whether its heartbeat is younger than heartbeat_limit
};

[[nodiscard]] bool is_fresh(const manager_status& one, std::chrono::steady_clock::time_point now) noexcept;

/// Chooses, by the board, the manager that an offer or a connection should go to. Of those that are live and
/// not in `except` it prefers, in this order: one with room, a fresh heartbeat, the lowest rank, the least
/// load, the fewest connections; each criterion decides only among those that are equal so far. nullopt if
/// none is live. Reads memory only.
[[nodiscard]] std::optional<manager_choice> choose_manager(const board& the_board,
                                                           std::chrono::steady_clock::time_point now,
                                                           const manager_set& except = {}) noexcept;

} // namespace dlhandoff
