#pragma once

#include "engine/client/tcp_progress.hpp"
#include "engine/clock.hpp"
#include "shared/file_descriptor.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

namespace dlhandoff::engine {

class tcp_memory;

/// A client's TCP socket while a response goes to it: the descriptor, how much it may queue, and what the
/// client has acknowledged. Its options are set when its client first keeps it waiting, and taken back when
/// it is released: httpd does not expect them. One thread.
class client_socket {
  public:
    /// The low water doubles while the client empties it within `fast_gap`, so that a
    /// fast client costs few wake-ups, and falls back when it took `slow_gap`.
    static constexpr std::chrono::milliseconds fast_gap{40};
    static constexpr std::chrono::milliseconds slow_gap{200};

    explicit client_socket(file_descriptor descriptor) noexcept : descriptor_(std::move(descriptor)) {}

    [[nodiscard]] int get() const noexcept { return descriptor_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(descriptor_); }

    /// O_NONBLOCK belongs to the open file description, which httpd has shared with us: usually set already.
    void make_nonblocking() noexcept;
    /// Begins to count: nothing of the response has been written yet.
    void begin_counting() noexcept { progress_ = tcp_progress(get()); }
    [[nodiscard]] const tcp_progress& progress() const noexcept { return progress_; }

    /// Bytes that the kernel queues unsent (TCP_NOTSENT_LOWAT).
    [[nodiscard]] int low_water() const noexcept { return low_water_; }
    void set_low_water(int bytes) noexcept;
    /// It was full, and its client has emptied it after this time: that tells how much it should queue.
    void adapt_low_water(const tcp_memory& memory, clock::duration gap) noexcept;
    /// Its client empties it before it can be filled.
    void raise_low_water(const tcp_memory& memory) noexcept;
    /// How long sent bytes may stay unacknowledged before the kernel ends the connection.
    void set_user_timeout(std::chrono::milliseconds timeout) noexcept;
    /// From now on its client keeps it waiting: the options matter.
    void set_options() noexcept;
    /// Has the kernel keep this rate, bytes a second.
    void set_pacing_rate(std::uint64_t rate) noexcept;

    /// Bytes that may be given to the kernel without queueing more than the low water: at least `enough`. 0:
    /// it is full, and its edge will come.
    [[nodiscard]] std::uint64_t room(std::uint64_t enough) noexcept;

    /// Bytes that the kernel held for the client when last asked; note_held() returns what it was before.
    std::uint64_t note_held(std::uint64_t bytes) noexcept { return std::exchange(held_, bytes); }

    /// Makes close() reset the connection: for responses that end short, so that none passes for whole.
    void reset_on_close() noexcept;
    /// Gives the connection up, with the system's own options again.
    [[nodiscard]] file_descriptor release() noexcept;

  private:
    tcp_progress progress_;
    std::uint64_t held_ = 0;
    file_descriptor descriptor_;
    int low_water_ = 0;
    std::uint32_t user_timeout_ms_ = 0;
    bool options_set_ = false;
    bool paced_ = false;
};

} // namespace dlhandoff::engine
