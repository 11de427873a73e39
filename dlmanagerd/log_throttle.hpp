#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace dlhandoff::service {

/// Keeps a message that others can cause at will from filling the log: it passes once a minute at most.
class log_throttle {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::minutes interval{1};

    /// nullopt if the message is to be left out; otherwise how often it was left out before.
    [[nodiscard]] std::optional<std::uint64_t> admit(clock::time_point now) noexcept {
        if (passed_ && now - *passed_ < interval) {
            ++left_out_;
            return std::nullopt;
        }
        passed_ = now;
        return std::exchange(left_out_, 0);
    }

  private:
    std::optional<clock::time_point> passed_;
    std::uint64_t left_out_ = 0;
};

} // namespace dlhandoff::service
