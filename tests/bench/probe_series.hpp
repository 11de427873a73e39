#pragma once

#include "shared/file_descriptor.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/tls_request.hpp"

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::bench {

/// A small page asked for at a steady pace, each time on a new connection, whether the one before has been
/// answered or not: visitors don't wait for each other.
class probe_series {
  public:
    struct options {
        loopback_address server;
        std::string path;
        bool https = false;
        std::chrono::milliseconds interval{20};
        std::chrono::milliseconds time_limit{2000}; ///< for each, from connecting to the end of the answer
        std::uint32_t source = 0;                   ///< the client's own address of 127.0.0.0/8
    };
    explicit probe_series(options asked) : options_(std::move(asked)) {}

    /// Begins a probe every interval for so long; returns when all of them are answered or late.
    void run_for(std::chrono::milliseconds duration);

    /// How long those took that were answered with 200, sorted.
    [[nodiscard]] std::vector<std::chrono::microseconds> answered() const;
    [[nodiscard]] unsigned timed_out() const noexcept { return timed_out_; }
    /// Reset, refused, or another status.
    [[nodiscard]] unsigned failed() const noexcept { return failed_; }

  private:
    using clock = std::chrono::steady_clock;
    struct one_probe {
        clock::time_point began;
        file_descriptor socket;
        std::unique_ptr<tls_request> tls;
        std::string answer;
        short waits_for = 0;
        bool asked = false;
    };
    enum class outcome { waits, answered, failed };
    void begin(clock::time_point now);
    [[nodiscard]] outcome go_on(one_probe& one);
    [[nodiscard]] bool ask(one_probe& one, outcome& result);
    void wait_until(clock::time_point next);

    options options_;
    std::list<one_probe> open_;
    std::vector<std::chrono::microseconds> answered_;
    unsigned timed_out_ = 0;
    unsigned failed_ = 0;
};

} // namespace dlhandoff::bench
