#include "shared/manager_choice.hpp"

#include <tuple>

namespace dlhandoff {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

} // namespace

bool is_fresh(const manager_status& one, std::chrono::steady_clock::time_point now) noexcept {
    constexpr auto limit = std::chrono::nanoseconds(heartbeat_limit).count();
    const std::uint64_t beat = one.heartbeat.load(relaxed);
    const std::uint64_t current = heartbeat_at(now);
    // A heartbeat later than `now` has come since `now` was taken, or the manager sleeps.
    return beat >= current || current - beat < static_cast<std::uint64_t>(limit);
}

std::optional<manager_choice> choose_manager(const board& the_board,
                                             std::chrono::steady_clock::time_point now,
                                             const manager_set& except) noexcept {
    using key = std::tuple<bool, bool, std::uint32_t, std::uint64_t, std::uint64_t>;
    std::optional<manager_choice> best;
    key best_key;
    for (std::uint32_t index = 0; index < the_board.managers(); ++index) {
        const manager_status& one = the_board.manager(index);
        if (one.state.load(std::memory_order_acquire) != manager_state::live || except.test(index))
            continue;
        const bool room = one.room.load(relaxed) != room_level::none;
        const bool fresh = is_fresh(one, now);
        const key mine{!room, !fresh, static_cast<std::uint32_t>(one.rank.load(relaxed)),
                       one.load.load(relaxed), one.counters.connections.load(relaxed)};
        if (!best || mine < best_key) {
            best = {index, room, fresh};
            best_key = mine;
        }
    }
    return best;
}

} // namespace dlhandoff
