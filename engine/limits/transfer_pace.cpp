#include "engine/limits/transfer_pace.hpp"

#include "engine/client/client_socket.hpp"

#include <algorithm>
#include <chrono>

namespace dlhandoff::engine {
namespace {

constexpr std::uint64_t least_burst = 16 * 1024;

} // namespace

void transfer_pace::enter(bandwidth& rates, transfer& owner, std::size_t limits_class,
                          std::string_view client_key, clock::time_point now) {
    if (rates_)
        return;
    auto made = std::make_unique<rate_entry>(owner);
    rates.enter(*made, limits_class, client_key, 0, now);
    rates_ = std::move(made);
}

void transfer_pace::leave(bandwidth& rates) noexcept {
    if (rates_)
        rates.leave(*rates_);
}

void transfer_pace::note_spent(bandwidth& rates, const pace& speed, std::uint64_t bytes,
                               clock::time_point now) noexcept {
    if (rates_)
        rates.spent(*rates_, bytes);
    if (burst_)
        burst_allowance::spend(*burst_, speed, bytes, now);
}

std::uint64_t transfer_pace::full_speed_bytes(burst_allowance& bursts, const offer& what,
                                              std::uint64_t position, clock::time_point now) {
    const pace speed = what.speed();
    if (position >= speed.after)
        return 0;
    const std::uint64_t first_part = speed.after - position;
    if (!burst_) {
        const auto files = what.files();
        if (files.empty())
            return first_part;
        burst_ = bursts.open(what.facts().client_key, files.front().device, files.front().inode, now);
    }
    const std::uint64_t left = burst_allowance::left(*burst_, speed, now);
    // What comes back while it is used must not go out in crumbs.
    return left < std::min(first_part, least_burst) ? 0 : std::min(first_part, left);
}

void transfer_pace::keep_in_kernel(std::uint64_t rate, client_socket& client) noexcept {
    client.set_pacing_rate(rate);
    kept_ = true;
}

void transfer_pace::keep_here(std::uint64_t rate, bandwidth& rates, clock::time_point now) noexcept {
    rates.set_own_rate(*rates_, rate, now);
    kept_ = true;
}

std::uint64_t transfer_pace::allowed(bandwidth& rates, std::uint64_t most, std::uint64_t left,
                                     clock::time_point now) noexcept {
    return rates_ ? std::min(most, rates.ask(*rates_, left, now)) : most;
}

void transfer_pace::begin_window(std::uint64_t acknowledged, clock::time_point now) noexcept {
    window_began_ = now;
    window_acked_ = acknowledged;
    held_up_ = false;
}

bool transfer_pace::is_too_slow(const limits& own, const pace& speed, std::uint64_t acknowledged,
                                clock::time_point now) noexcept {
    if (own.min_rate == 0 || now < window_end(own))
        return false;
    const std::chrono::duration<double> length = now - window_began_;
    const auto taken = static_cast<double>(acknowledged - window_acked_);
    const std::uint64_t least = kept_ ? std::min(own.min_rate, speed.rate / 2) : own.min_rate;
    const bool slow = !held_up_ && taken < static_cast<double>(least) * length.count();
    begin_window(acknowledged, now);
    return slow;
}

} // namespace dlhandoff::engine
