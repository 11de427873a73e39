#pragma once

#include "engine/clock.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace dlhandoff::engine {

/// Tokens for one rate: one token is one byte, they come in at the rate, and the bucket holds at most what
/// comes in during `depth`. Tokens are granted first and spent later. What is granted and not yet spent
/// counts as if it were still here, so never more than a full bucket is spent at once, however late that
/// happens. A bucket begins empty, so that leaving and coming back gains nothing. Spending more than was
/// granted leaves a debt.
class token_bucket {
  public:
    static constexpr std::chrono::milliseconds depth{200};

    /// Without a rate it bounds nothing, and must not be granted from.
    [[nodiscard]] bool in_force() const noexcept { return rate_ > 0; }
    [[nodiscard]] double rate() const noexcept { return rate_; } ///< bytes a second
    void set_rate(double rate, clock::time_point now) noexcept {
        tokens_ = in_force() ? available(now) : 0;
        filled_ = now;
        rate_ = rate;
        cap();
    }

    /// Bytes that could be granted now; negative while there is a debt.
    double available(clock::time_point now) noexcept {
        if (now > filled_) {
            tokens_ += rate_ * std::chrono::duration<double>(now - filled_).count();
            filled_ = now;
            cap();
        }
        return tokens_;
    }
    [[nodiscard]] bool has(std::uint64_t bytes, clock::time_point now) noexcept {
        return available(now) + rounding >= static_cast<double>(bytes);
    }
    /// When the bucket will have so many, if it hasn't now: later than the time of the last call.
    [[nodiscard]] clock::time_point when(std::uint64_t bytes) const noexcept {
        const double seconds = (static_cast<double>(bytes) - tokens_) / rate_;
        return filled_ +
               std::chrono::nanoseconds(1 + std::llround(std::clamp(seconds, 0.0, longest_wait) * 1e9));
    }

    /// The most that the bucket can hold, including what is granted.
    [[nodiscard]] double most() const noexcept {
        return std::max(1.0, rate_ * std::chrono::duration<double>(depth).count());
    }
    [[nodiscard]] double granted() const noexcept { return granted_; } ///< and not spent

    void grant(double bytes) noexcept {
        tokens_ -= bytes;
        granted_ += bytes;
    }
    void spend(double bytes) noexcept { granted_ -= bytes; }
    void give_back(double bytes) noexcept {
        granted_ -= bytes;
        tokens_ += bytes;
        cap();
    }
    void overspend(double bytes) noexcept { tokens_ -= bytes; }

  private:
    static constexpr double rounding = 1e-3;       // bytes
    static constexpr double longest_wait = 3600.0; // seconds: asked again then
    void cap() noexcept { tokens_ = std::min(tokens_, most() - granted_); }

    double rate_ = 0;
    double tokens_ = 0;
    double granted_ = 0;
    clock::time_point filled_{};
};

} // namespace dlhandoff::engine
