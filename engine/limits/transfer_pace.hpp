#pragma once

#include "engine/clock.hpp"
#include "engine/limits/bandwidth.hpp"
#include "engine/limits/burst_allowance.hpp"
#include "engine/limits/limits.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace dlhandoff::engine {

class client_socket;
class transfer;

/// How fast one transfer may go, and how slow its client may be: its own rate, the rates that it shares, and
/// min_rate. One thread, the loop's; `now` is the loop's.
class transfer_pace {
  public:
    /// What takes part in the shared rates for a transfer.
    struct rate_entry final : bandwidth::entry {
        explicit rate_entry(transfer& whose) noexcept : owner(whose) {}
        transfer& owner;
    };

    /// Its turn has come.
    void start(clock::time_point now) noexcept { window_began_ = now; }

    /// Takes part in the shared rates, unless it does already. Throws std::bad_alloc: then none binds it.
    void enter(bandwidth& rates, transfer& owner, std::size_t limits_class, std::string_view client_key,
               clock::time_point now);
    void leave(bandwidth& rates) noexcept;
    void note_spent(bandwidth& rates, const pace& speed, std::uint64_t bytes, clock::time_point now) noexcept;

    /// Bytes of this response that go before its own rate comes into force; 0: it does from here on. Throws
    /// as burst_allowance::open() does.
    [[nodiscard]] std::uint64_t full_speed_bytes(burst_allowance& bursts, const offer& what,
                                                 std::uint64_t position, clock::time_point now);
    /// Its own rate comes into force. The kernel paces segments, of which the smallest rates would need
    /// parts: these are kept here; then enter() comes first.
    [[nodiscard]] static bool is_for_kernel(std::uint64_t rate) noexcept { return rate >= least_kernel_pace; }
    void keep_in_kernel(std::uint64_t rate, client_socket& client) noexcept;
    void keep_here(std::uint64_t rate, bandwidth& rates, clock::time_point now) noexcept;
    [[nodiscard]] bool is_kept() const noexcept { return kept_; }

    /// Of `most` bytes, those that the shared rates allow now, with `left` still to be sent; 0: it is woken
    /// when they do.
    [[nodiscard]] std::uint64_t allowed(bandwidth& rates, std::uint64_t most, std::uint64_t left,
                                        clock::time_point now) noexcept;

    /// It is not its client that holds it up: this window of min_rate doesn't count.
    void note_held_up() noexcept { held_up_ = true; }
    /// A new window of min_rate begins; what the client has acknowledged so far.
    void begin_window(std::uint64_t acknowledged, clock::time_point now) noexcept;
    /// Whether the client has taken less than min_rate over the whole window; a window in which it could not
    /// have taken more doesn't count. Where the kernel holds it back for its own rate, it is half of that at
    /// most.
    [[nodiscard]] bool is_too_slow(const limits& own, const pace& speed, std::uint64_t acknowledged,
                                   clock::time_point now) noexcept;
    [[nodiscard]] clock::time_point window_end(const limits& own) const noexcept {
        return window_began_ + own.min_rate_window;
    }

  private:
    static constexpr std::uint64_t least_kernel_pace = 256 * 1024;

    std::unique_ptr<rate_entry> rates_; ///< null while no rate can bind it, as for most: it is large
    burst_allowance::handle burst_;     ///< null unless its rate comes after a first part
    std::uint64_t window_acked_ = 0;
    clock::time_point window_began_{};
    bool kept_ = false;    ///< its own rate is in force
    bool held_up_ = false; ///< by us, not by its client, in this window
};

} // namespace dlhandoff::engine
