#include "engine/limits/burst_allowance.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace dlhandoff::engine {
namespace {

/// Full ones are the most of those that were left long ago: each open() looks at so many, which is more than
/// it adds.
constexpr int looked_at = 2;

} // namespace

void burst_allowance::account::refill(std::uint64_t rate, clock::time_point now) noexcept {
    rate_ = rate;
    if (now <= refilled_)
        return;
    const std::chrono::duration<double> passed = now - refilled_;
    used_ = std::max(0.0, used_ - static_cast<double>(rate) * passed.count());
    refilled_ = now;
}

bool burst_allowance::account::is_full(clock::time_point now) noexcept {
    refill(rate_, now);
    return used_ == 0;
}

void burst_allowance::account_closer::operator()(account* open) const noexcept {
    open->owner_->close(*open);
}

burst_allowance::handle burst_allowance::open(std::string_view client_key, std::uint64_t device,
                                              std::uint64_t inode, clock::time_point now) {
    if (key_ == hash_key{})
        key_ = random_hash_key();
    for (int i = 0; i < looked_at && oldest_ != nullptr && oldest_->is_full(now); ++i)
        forget_oldest();
    const std::array<std::uint64_t, 3> name{keyed_hash(key_, client_key), device, inode};
    const std::uint64_t hash = keyed_hash(key_, {reinterpret_cast<const char*>(name.data()), sizeof name});
    account& one = accounts_.try_emplace(hash).first->second;
    if (one.owner_ == nullptr) {
        one.owner_ = this;
        one.hash_ = hash;
        one.refilled_ = now;
    } else if (one.users_ == 0) {
        take_from_unused(one);
    }
    ++one.users_;
    return handle(&one);
}

std::uint64_t burst_allowance::left(account& of, const pace& speed, clock::time_point now) noexcept {
    of.refill(speed.rate, now);
    const auto used = static_cast<std::uint64_t>(std::ceil(of.used_));
    return speed.after - std::min(used, speed.after);
}

/// No debt: what goes beyond it goes at the rate, and would keep the bucket empty for longer than it takes to
/// fill.
void burst_allowance::spend(account& of, const pace& speed, std::uint64_t bytes,
                            clock::time_point now) noexcept {
    of.refill(speed.rate, now);
    of.used_ = std::min(of.used_ + static_cast<double>(bytes), static_cast<double>(speed.after));
}

void burst_allowance::close(account& one) noexcept {
    if (--one.users_ != 0)
        return;
    one.older_ = latest_;
    one.newer_ = nullptr;
    (latest_ != nullptr ? latest_->newer_ : oldest_) = &one;
    latest_ = &one;
    if (++unused_ > most_)
        forget_oldest();
}

void burst_allowance::forget_oldest() noexcept {
    account& one = *oldest_;
    take_from_unused(one);
    accounts_.erase(one.hash_);
}

void burst_allowance::take_from_unused(account& one) noexcept {
    (one.older_ != nullptr ? one.older_->newer_ : oldest_) = one.newer_;
    (one.newer_ != nullptr ? one.newer_->older_ : latest_) = one.older_;
    --unused_;
}

} // namespace dlhandoff::engine
