#include "shared/manager_status.hpp"

namespace dlhandoff {

void clear(manager_status& status) noexcept {
    constexpr auto order = std::memory_order_relaxed;
    status.state.store(manager_state::vacant, std::memory_order_release);
    status.pid.store(0, order);
    status.rank.store(manager_rank::base, order);
    status.room.store(room_level::none, order);
    manager_counters& counters = status.counters;
    for (auto* number :
         {&status.heartbeat, &status.load, &status.descriptors_used, &status.descriptors_limit,
          &counters.connections, &counters.active, &counters.queued, &counters.idle, &counters.offers,
          &counters.claims, &counters.late, &counters.bytes, &counters.tcp_memory})
        number->store(0, order);
    for (auto& refused : counters.refusals)
        refused.store(0, order);
}

} // namespace dlhandoff
