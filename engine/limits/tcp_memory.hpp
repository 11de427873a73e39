#pragma once

#include <cstddef>
#include <cstdint>

namespace dlhandoff::engine {

/// The budget of kernel memory that clients' sockets may take. The whole machine shares that memory: Linux
/// slows down all of its TCP when it grows beyond net.ipv4.tcp_mem (tcp(7)).
///
/// What a socket holds is bounded by its low-water mark (TCP_NOTSENT_LOWAT): what the kernel queues beyond
/// the congestion window, bytes. The more downloads there are, the lower the mark; sockets of fast clients
/// may have a higher one, as long as the budget lasts. One thread.
class tcp_memory {
  public:
    static constexpr int least_low_water = 16 * 1024;
    static constexpr int common_low_water = 64 * 1024;
    static constexpr int first_low_water = 256 * 1024; ///< with few downloads
    static constexpr int most_low_water = 1024 * 1024; ///< of a fast client

    /// `budget` in bytes; 0: half of tcp_mem's pressure value; where that can't be read, of its
    /// default, a sixteenth of the machine's memory.
    explicit tcp_memory(std::uint64_t budget) { set_budget(budget); }
    void set_budget(std::uint64_t budget);
    /// So many engines share the budget.
    void share_with(std::size_t engines) noexcept { budget_ = whole_budget_ / (engines_ = engines); }
    [[nodiscard]] std::uint64_t budget() const noexcept { return budget_; }

    /// What all sockets hold, bytes, as far as their transfers have told.
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    [[nodiscard]] bool is_short() const noexcept { return used_ > budget_; }
    /// A socket holds so many bytes now, and held so many when this was last said.
    void changed(std::uint64_t from, std::uint64_t to) noexcept { used_ += to - from; }

    void enter() noexcept { ++sockets_; }
    void leave() noexcept { --sockets_; }

    /// The low-water mark of a socket whose client is not fast.
    [[nodiscard]] int low_water() const noexcept;
    /// The next low-water mark of a socket that was emptied before its transfer had its turn; half of the
    /// present one when memory is short.
    [[nodiscard]] int raised(int low_water) const noexcept;

  private:
    std::uint64_t whole_budget_ = 0;
    std::size_t engines_ = 1;
    std::uint64_t budget_ = 0; ///< this engine's
    std::uint64_t used_ = 0;
    std::size_t sockets_ = 0;
};

} // namespace dlhandoff::engine
