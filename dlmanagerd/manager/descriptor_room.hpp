#pragma once

#include "shared/manager_status.hpp"

#include <cstdint>

namespace dlhandoff::service {

/// What a manager has of descriptors, against its limit. So that it never meets the limit itself (a message
/// whose descriptors don't fit is lost), it keeps a reserve: with less than that free it takes no offers.
///
/// Workers' sessions may use half of the reserve, and no more than their part of the limit, so that they
/// leave room for what they offer.
///
/// Pure arithmetic; the manager counts. A level is reached again only with a margin, so that the answer does
/// not flicker.
class descriptor_room {
  public:
    void set_limit(std::uint64_t descriptors) noexcept { limit_ = descriptors; }
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }

    /// True if the level has changed. `used`: descriptors, those of worker `sessions` included.
    bool update(std::uint64_t used, std::uint64_t sessions) noexcept;

    [[nodiscard]] room_level level() const noexcept { return level_; }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }

    /// Descriptors kept free: a quarter of the limit, or, where that is less, 64 and two for each session
    /// (whose next offer brings a client and a file).
    [[nodiscard]] std::uint64_t reserve() const noexcept;
    /// Sessions at most: a quarter of the limit.
    [[nodiscard]] std::uint64_t most_sessions() const noexcept;
    /// How many descriptors must become free for a level to be reached: by closing what only waits. 0: none.
    [[nodiscard]] std::uint64_t missing_for(room_level wanted) const noexcept;
    /// How many sessions must be closed for another one to be taken. 0: none.
    [[nodiscard]] std::uint64_t surplus_sessions() const noexcept;

  private:
    [[nodiscard]] std::uint64_t free() const noexcept { return used_ < limit_ ? limit_ - used_ : 0; }
    /// What must be free for a level to be kept.
    [[nodiscard]] std::uint64_t needed_for(room_level level) const noexcept;
    [[nodiscard]] std::uint64_t margin() const noexcept { return 1 + reserve() / 4; }

    std::uint64_t limit_ = 0;
    std::uint64_t used_ = 0;
    std::uint64_t sessions_ = 0;
    room_level level_ = room_level::none;
};

/// Descriptors that this process has open now: a look into /proc/self/fd. 0 if that is not possible.
[[nodiscard]] std::uint64_t count_descriptors() noexcept;

} // namespace dlhandoff::service
