#pragma once

#include "engine/limits/bandwidth.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace dlhandoff::test {

using engine::bandwidth;
using engine::clock;
using namespace std::chrono_literals;

/// Seconds of a rate that may be spent at once; the half millisecond is for single bytes at low rates.
constexpr double most_burst = 0.2005;

/// Bytes a second.
[[nodiscard]] inline double rate_of(std::uint64_t bytes, clock::duration time) {
    return static_cast<double>(bytes) / std::chrono::duration<double>(time).count();
}

/// Watches that what is spent under one rate never is more, in whatever time, than what comes in and a burst.
class rate_watch {
  public:
    /// From now on this rate holds. What was spent before counts with the higher of the two rates.
    void set_rate(double rate, clock::time_point now);
    void spent(std::uint64_t bytes, clock::time_point now);
    /// The most that was ever ahead of the rate, in seconds of it.
    [[nodiscard]] double longest_burst() const { return longest_; }

  private:
    void pass(clock::time_point now);
    double rate_ = 0;
    double ahead_ = 0;       // bytes, since whenever is worst
    double ahead_newly_ = 0; // so, since the rate was set
    double longest_ = 0;
    double higher_ = 0;
    clock::time_point last_{};
};

/// A download of a simulated engine.
struct simulated_download : bandwidth::entry {
    std::string client;
    std::size_t class_index = 0;
    std::uint64_t own_rate = 0;
    std::uint64_t left = UINT64_MAX; ///< bytes until it is done
    double socket_rate = 0;          ///< bytes a second that its client takes; 0: whatever comes
    double room = 0;                 ///< in its socket
    std::uint64_t sent = 0;
    std::uint64_t answers = 0;
    std::uint64_t wakes = 0;
    std::uint64_t smallest = UINT64_MAX; ///< grant that it was woken for, as far as it shows
    clock::time_point blocked_until = clock::time_point::max();
    clock::time_point waits_since = clock::time_point::max();
    clock::duration longest_wait{};
    bool entered = false;
    rate_watch own_watch;
};

/// An engine's loop with a clock that only the test moves: downloads ask, send to sockets of their own speed,
/// and wait; run_due() comes late as often as the test wants. Checks bursts under every rate.
class rate_simulation {
  public:
    explicit rate_simulation(engine::limit_table limits, bandwidth::client_fraction fraction = nullptr);
    ~rate_simulation();

    simulated_download& add(const std::string& client, std::size_t class_index = 0,
                            std::uint64_t own_rate = 0);
    void leave(simulated_download& one);
    void set_limits(const engine::limit_table& limits);
    void run_for(clock::duration time);
    /// What the downloads sent from now on is counted anew.
    void reset_counts();
    void set_own_rate(simulated_download& one, std::uint64_t rate);
    /// Rounds are up to so late (a fifth of them; the others are exact).
    void set_lateness(clock::duration most) { lateness_ = most; }
    /// Every round takes so long.
    void set_round(clock::duration time) { round_ = time; }

    [[nodiscard]] std::uint64_t sent_by_client(const std::string& client) const;
    [[nodiscard]] std::uint64_t sent_in_class(std::size_t class_index) const;
    [[nodiscard]] std::uint64_t sent() const;
    [[nodiscard]] std::uint64_t wakes() const;
    [[nodiscard]] double longest_burst() const;
    [[nodiscard]] clock::time_point now() const { return now_; }
    [[nodiscard]] bandwidth& rates() { return rates_; }
    [[nodiscard]] const engine::limit_table& limits() const { return limits_; }
    std::vector<std::unique_ptr<simulated_download>> downloads;
    double tls_overhead = 0; ///< bytes on the wire more than were asked for, as a part

  private:
    void make_ready(simulated_download& one);
    void turn(simulated_download& one);
    void note(simulated_download& one, std::uint64_t bytes);
    void refill(simulated_download& one, clock::duration passed) const;
    [[nodiscard]] clock::time_point next_time() const;

    engine::limit_table limits_;
    clock::time_point now_{1h};
    bandwidth rates_;
    std::deque<simulated_download*> ready_;
    std::mt19937 random_{1};
    clock::duration lateness_{};
    clock::duration round_{};
    rate_watch all_watch_;
    std::map<std::size_t, rate_watch> class_watches_;
    std::map<std::string, rate_watch> client_watches_;
    std::map<std::pair<std::string, std::size_t>, rate_watch> share_watches_;
};

/// Limits with `count` classes: "default", "c1", ...
[[nodiscard]] engine::limit_table limits_of(std::uint64_t all_rate, std::uint64_t client_rate = 0,
                                            std::size_t count = 1);

} // namespace dlhandoff::test
