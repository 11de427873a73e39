#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/manager_status.hpp"
#include "shared/sealed_memory.hpp"
#include "shared/ticket.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace dlhandoff {

/// Layout version: raised with every change of the structures in this file and in manager_status.hpp.
inline constexpr std::uint32_t board_version = 3;

/// The shared memory of a service and the workers connected to it: what each manager says of itself, and
/// tickets, a fixed range of them for each manager.
///
/// It is sealed memory that the supervisor makes when it starts; each worker receives its descriptor with a
/// manager's hello. So it has no name to clean up or to squat on, whoever may use the service's socket may
/// use it, and it is gone with the last process that maps it. A new service always brings a new board, told
/// from others by its epoch. Pages that nobody has touched cost nothing.
///
/// Neither side trusts what it reads: counts and sizes are fixed when the board is mapped, and there are no
/// pointers.
class board {
  public:
    /// Supervisor: a new board for `managers` managers (1 to most_managers), each with `slots` tickets.
    /// Throws std::system_error, boost::interprocess::interprocess_exception.
    [[nodiscard]] static board create(std::uint32_t slots, std::uint32_t managers = 1);

    /// Worker: the board behind a descriptor that came with a hello; nullopt if it is not a sealed board of
    /// this version. Never throws on anything that the other side can do.
    [[nodiscard]] static std::optional<board> attach(file_descriptor memory) noexcept;

    [[nodiscard]] std::uint32_t managers() const noexcept { return managers_; }
    /// `index` must be below managers().
    [[nodiscard]] manager_status& manager(std::uint32_t index) const noexcept;

    /// Of all managers together.
    [[nodiscard]] std::uint32_t slots() const noexcept { return slots_each_ * managers_; }
    /// Slots of one manager, from first_slot_of() on.
    [[nodiscard]] std::uint32_t slots_each() const noexcept { return slots_each_; }
    [[nodiscard]] std::uint32_t first_slot_of(std::uint32_t manager) const noexcept {
        return manager * slots_each_;
    }
    /// `index` must be below slots().
    [[nodiscard]] ticket_slot& slot(std::uint32_t index) const noexcept;

    /// A random number, never 0.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
    /// The process that made it.
    [[nodiscard]] std::uint32_t supervisor() const noexcept;
    /// The descriptor to pass on; valid in the process that created the board, and its children, only.
    [[nodiscard]] int descriptor() const noexcept { return memory_.descriptor(); }

  private:
    struct header;
    explicit board(sealed_memory memory) noexcept;
    [[nodiscard]] header& head() const noexcept;

    sealed_memory memory_;
    std::uint64_t epoch_;
    std::uint32_t managers_;
    std::uint32_t slots_each_;
};

} // namespace dlhandoff
