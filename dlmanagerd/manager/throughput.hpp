#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace dlhandoff::service {

/// How many bytes went out over the last second, to 0.1 s, from a count that only grows. Between two rounds
/// of the loop nothing is sent, so a sleep costs no exactness.
class throughput {
  public:
    using clock = std::chrono::steady_clock;

    /// The count after a round.
    void record(clock::time_point now, std::uint64_t bytes) noexcept {
        if (now - newest().since >= step) {
            at_ = (at_ + 1) % samples_.size();
            newest().since = now;
        }
        newest().bytes = bytes;
    }

    /// As of `now`, which is not before the last record().
    [[nodiscard]] std::uint64_t per_second(clock::time_point now) const noexcept {
        for (std::size_t back = 0; back < samples_.size(); ++back) {
            const sample& one = samples_[(at_ + samples_.size() - back) % samples_.size()];
            if (now - one.since >= std::chrono::seconds(1))
                return samples_[at_].bytes - one.bytes;
        }
        return 0;
    }

  private:
    static constexpr std::chrono::milliseconds step{100};
    struct sample {
        clock::time_point since{};
        std::uint64_t bytes = 0; ///< at the end of its step
    };
    [[nodiscard]] sample& newest() noexcept { return samples_[at_]; }

    std::array<sample, 16> samples_{};
    std::size_t at_ = 0;
};

} // namespace dlhandoff::service
