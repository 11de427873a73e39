#pragma once

#include "shared/refusal.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

/// What the board says about each manager.
namespace dlhandoff {

/// The most managers that one service may have.
inline constexpr std::uint32_t most_managers = 64;

enum class manager_state : std::uint32_t {
    vacant,   ///< no manager has this place
    starting, ///< the process exists, but its loop does not run yet
    live,     ///< takes offers
    draining  ///< finishes what it has
};

/// Base managers stay while the service runs; duplicates are added when base managers have no room, and end
/// again later.
enum class manager_rank : std::uint32_t { base, duplicate };

/// How many descriptors a manager has left, compared with the reserve that it keeps.
enum class room_level : std::uint32_t {
    none, ///< less than the reserve: offers are refused
    low,  ///< less than twice the reserve: time to think of another manager
    plenty
};

/// What a manager counts. Only the manager writes it, except that the supervisor raises `connections` when it
/// passes one on.
struct manager_counters {
    std::atomic<std::uint64_t> connections{0}; ///< workers connected now
    std::atomic<std::uint64_t> active{0};      ///< transfers under way now
    std::atomic<std::uint64_t> queued{0};      ///< claimed offers that wait now
    std::atomic<std::uint64_t> idle{0};        ///< connections that wait for a next request now
    std::atomic<std::uint64_t> offers{0};      ///< messages received, good or bad
    std::atomic<std::uint64_t> claims{0};
    std::atomic<std::uint64_t> late{0};       ///< offers that the worker had revoked before the claim
    std::atomic<std::uint64_t> bytes{0};      ///< given to the kernel so far, by all transfers
    std::atomic<std::uint64_t> tcp_memory{0}; ///< bytes that the kernel holds for clients now
    std::array<std::atomic<std::uint64_t>, refusal_count> refusals{}; ///< indexed by the refusal's number
};

/// One manager's place on the board. The supervisor writes pid, rank and (while the manager is not running)
/// state; the manager writes the rest. No reader trusts a value: a wrong one only leads to a bad choice.
struct alignas(64) manager_status {
    /// A heartbeat that never gets old: the manager sleeps, because no worker is connected and it has room.
    static constexpr std::uint64_t asleep = ~std::uint64_t{0};

    std::atomic<manager_state> state{};
    std::atomic<std::uint32_t> pid{0};
    std::atomic<manager_rank> rank{};
    std::atomic<room_level> room{};
    std::atomic<std::uint64_t> heartbeat{0}; ///< when its loop last went round: CLOCK_MONOTONIC, ns
    std::atomic<std::uint64_t> load{0};      ///< transfers under way and waiting
    std::atomic<std::uint64_t> descriptors_used{0};
    std::atomic<std::uint64_t> descriptors_limit{0};
    std::atomic<std::uint64_t> queue_timeout{0}; ///< ms: how long a request may wait in the queue
    alignas(64) manager_counters counters;
};
static_assert(std::atomic<manager_state>::is_always_lock_free && sizeof(manager_status) % 64 == 0);

/// steady_clock is CLOCK_MONOTONIC, the same for all processes of the machine.
[[nodiscard]] inline std::uint64_t heartbeat_at(std::chrono::steady_clock::time_point time) noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

/// Sets everything to zero, which makes the place vacant.
void clear(manager_status& status) noexcept;

} // namespace dlhandoff
