#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace dlhandoff::service {

/// When a manager that has died may be started again: at once the first time, then after 0.1 s, 0.2 s and so
/// on up to 5 s, for as long as each dies within 10 s of its start. A pure value: the caller has the clock.
class restart_pause {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds short_life{10};
    static constexpr std::chrono::milliseconds first{100};
    static constexpr std::chrono::milliseconds longest{5'000};

    void started(clock::time_point now) noexcept { started_ = now; }

    /// How long to wait from now on.
    std::chrono::milliseconds died(clock::time_point now) noexcept {
        if (now - started_ >= short_life)
            next_.reset();
        const auto wait = next_.value_or(std::chrono::milliseconds::zero());
        next_ = wait == wait.zero() ? first : std::min(2 * wait, longest);
        not_before_ = now + wait;
        return wait;
    }

    /// It has ended as it was told: nothing counts against the next one.
    void forget() noexcept { *this = {}; }

    [[nodiscard]] clock::time_point not_before() const noexcept { return not_before_; }

  private:
    clock::time_point started_{};
    clock::time_point not_before_{};
    std::optional<std::chrono::milliseconds> next_;
};

} // namespace dlhandoff::service
