#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/refusal.hpp"
#include "shared/ticket.hpp"

#include <array>
#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace dlhandoff {

/// Layout version: raised with every change of the structures in this file.
inline constexpr std::uint32_t board_version = 2;

/// What a manager counts; read by whoever wants to know, written by the manager alone.
struct manager_counters {
    std::atomic<std::uint64_t> pid{0};
    std::atomic<std::uint64_t> connections{0}; ///< workers connected now
    std::atomic<std::uint64_t> active{0};      ///< transfers under way now
    std::atomic<std::uint64_t> offers{0};      ///< messages received, good or bad
    std::atomic<std::uint64_t> claims{0};
    std::atomic<std::uint64_t> late{0}; ///< offers that the worker had revoked before the claim
    std::array<std::atomic<std::uint64_t>, refusal_count> refusals{}; ///< by number of the reason
};

/// The shared memory of one manager and the workers connected to it: tickets, and the manager's counters.
///
/// It is an anonymous file (memfd_create(2), sealed against resizing) that the manager makes when it starts
/// and whose descriptor it passes to each worker in the hello. So it has no name to clean up or to squat on,
/// its rights are those of the manager's socket, it is gone with the last process that maps it, and a new
/// manager always brings a new board.
///
/// Neither side trusts what it reads: counts and sizes are fixed when the board is mapped, and there are no
/// pointers.
class board {
  public:
    /// Manager: a new board with room for `slots` connections. Throws std::system_error,
    /// boost::interprocess::interprocess_exception.
    [[nodiscard]] static board create(std::uint32_t slots);

    /// Worker: the board behind a descriptor that came with a hello; nothing if it is not a sealed board of
    /// this version. Never throws on anything that the other side can do.
    [[nodiscard]] static std::optional<board> attach(file_descriptor memory) noexcept;

    [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
    /// `index` must be below slots().
    [[nodiscard]] ticket_slot& slot(std::uint32_t index) const noexcept;
    [[nodiscard]] manager_counters& counters() const noexcept;
    /// The descriptor to pass on; valid in the process that created the board only.
    [[nodiscard]] int descriptor() const noexcept { return memory_.get(); }

  private:
    struct header;
    board(file_descriptor memory, boost::interprocess::mapped_region region, std::uint32_t slots) noexcept;
    [[nodiscard]] header& head() const noexcept;

    file_descriptor memory_;
    boost::interprocess::mapped_region region_;
    std::uint32_t slots_ = 0;
};

} // namespace dlhandoff
