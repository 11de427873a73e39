#include "tests/unit/engine/limits/rate_simulation.hpp"

#include <algorithm>

namespace dlhandoff::test {
namespace {

constexpr double socket_buffer = 256 * 1024;

double seconds(clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

} // namespace

void rate_watch::pass(clock::time_point now) {
    const double came_in = rate_ * seconds(now - last_);
    ahead_ = std::max(0.0, ahead_ - came_in);
    ahead_newly_ = std::max(0.0, ahead_newly_ - came_in);
    if (ahead_ == 0)
        higher_ = rate_;
    last_ = now;
}

void rate_watch::set_rate(double rate, clock::time_point now) {
    if (rate == rate_)
        return;
    if (rate_ > 0)
        pass(now);
    else
        ahead_ = higher_ = 0;
    last_ = now;
    rate_ = rate;
    higher_ = std::max(higher_, rate);
    ahead_newly_ = 0;
}

void rate_watch::spent(std::uint64_t bytes, clock::time_point now) {
    if (rate_ <= 0)
        return;
    pass(now);
    ahead_ += static_cast<double>(bytes);
    ahead_newly_ += static_cast<double>(bytes);
    longest_ = std::max({longest_, ahead_ / higher_, ahead_newly_ / rate_});
}

rate_simulation::rate_simulation(engine::limit_table limits, bandwidth::client_fraction fraction)
    : rates_(std::move(fraction)) {
    set_limits(limits);
}

rate_simulation::~rate_simulation() {
    for (const auto& one : downloads)
        if (one->entered)
            rates_.leave(*one);
}

simulated_download& rate_simulation::add(const std::string& client, std::size_t class_index,
                                         std::uint64_t own_rate) {
    auto& one = *downloads.emplace_back(std::make_unique<simulated_download>());
    one.client = client;
    one.class_index = class_index;
    one.own_rate = own_rate;
    one.room = socket_buffer;
    rates_.enter(one, class_index, one.client, own_rate, now_);
    one.entered = true;
    one.own_watch.set_rate(static_cast<double>(own_rate), now_);
    const auto& its = limits_.classes[class_index].own;
    client_watches_[client].set_rate(static_cast<double>(limits_.all.client_rate), now_);
    share_watches_[{client, class_index}].set_rate(static_cast<double>(its.client_rate), now_);
    make_ready(one);
    return one;
}

void rate_simulation::leave(simulated_download& one) {
    rates_.leave(one);
    one.entered = false;
    one.waits_since = one.blocked_until = clock::time_point::max();
    std::erase(ready_, &one);
}

void rate_simulation::set_own_rate(simulated_download& one, std::uint64_t rate) {
    one.own_rate = rate;
    rates_.set_own_rate(one, rate, now_);
    one.own_watch.set_rate(static_cast<double>(rate), now_);
}

void rate_simulation::set_limits(const engine::limit_table& limits) {
    limits_ = limits;
    rates_.set_limits(limits, now_);
    all_watch_.set_rate(static_cast<double>(limits.all.rate), now_);
    for (std::size_t i = 0; i < limits.classes.size(); ++i)
        class_watches_[i].set_rate(static_cast<double>(limits.classes[i].own.rate), now_);
    for (auto& [key, watch] : client_watches_)
        watch.set_rate(static_cast<double>(limits.all.client_rate), now_);
    for (auto& [key, watch] : share_watches_)
        watch.set_rate(static_cast<double>(limits.classes[key.second].own.client_rate), now_);
}

void rate_simulation::make_ready(simulated_download& one) {
    if (std::find(ready_.begin(), ready_.end(), &one) == ready_.end())
        ready_.push_back(&one);
}

void rate_simulation::refill(simulated_download& one, clock::duration passed) const {
    if (one.socket_rate > 0)
        one.room = std::min(socket_buffer, one.room + one.socket_rate * seconds(passed));
}

void rate_simulation::note(simulated_download& one, std::uint64_t bytes) {
    one.sent += bytes;
    one.own_watch.spent(bytes, now_);
    all_watch_.spent(bytes, now_);
    class_watches_[one.class_index].spent(bytes, now_);
    client_watches_[one.client].spent(bytes, now_);
    share_watches_[{one.client, one.class_index}].spent(bytes, now_);
}

void rate_simulation::turn(simulated_download& one) {
    const std::uint64_t may = rates_.ask(one, one.left, now_);
    if (may == 0) {
        if (one.waits_since == clock::time_point::max())
            one.waits_since = now_;
        return;
    }
    ++one.answers;
    one.smallest = std::min(one.smallest, may);
    if (one.waits_since != clock::time_point::max())
        one.longest_wait = std::max(one.longest_wait, now_ - one.waits_since);
    one.waits_since = clock::time_point::max();
    const std::uint64_t fits = one.socket_rate > 0 ? static_cast<std::uint64_t>(one.room) : UINT64_MAX;
    const std::uint64_t taken = std::min(may, fits);
    one.room -= static_cast<double>(one.socket_rate > 0 ? taken : 0);
    one.left -= taken;
    const auto wire = taken + static_cast<std::uint64_t>(static_cast<double>(taken) * tls_overhead);
    note(one, wire);
    rates_.spent(one, wire);
    if (one.left == 0)
        return leave(one);
    if (taken < may)
        one.blocked_until = now_ + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(
                                       (socket_buffer / 2 - one.room) / one.socket_rate));
    else
        ready_.push_back(&one);
}

clock::time_point rate_simulation::next_time() const {
    auto next = rates_.next_deadline();
    for (const auto& one : downloads)
        next = std::min(next, one->blocked_until);
    return std::max(next, now_);
}

void rate_simulation::run_for(clock::duration time) {
    const auto end = now_ + time;
    while (now_ <= end) {
        rates_.run_due(now_, [this](bandwidth::entry& woken) {
            auto& one = static_cast<simulated_download&>(woken);
            ++one.wakes;
            make_ready(one);
        });
        for (const auto& one : downloads)
            if (one->blocked_until <= now_) {
                one->blocked_until = clock::time_point::max();
                make_ready(*one);
            }
        while (!ready_.empty()) {
            simulated_download& one = *ready_.front();
            ready_.pop_front();
            turn(one);
        }
        auto next = std::min(end, std::max(next_time(), now_ + round_));
        if (lateness_ > 0s && random_() % 5 == 0)
            next += std::chrono::microseconds(
                random_() % static_cast<unsigned>(lateness_ / std::chrono::microseconds(1)));
        // Within the time asked for, and never standing still.
        next = std::max(next, now_ + 1us);
        const auto until = std::min(next, end + 1us);
        for (const auto& one : downloads)
            refill(*one, until - now_);
        now_ = until;
    }
}

void rate_simulation::reset_counts() {
    for (const auto& one : downloads) {
        one->sent = one->wakes = one->answers = 0;
        one->longest_wait = {};
        one->smallest = UINT64_MAX;
    }
}

std::uint64_t rate_simulation::sent_by_client(const std::string& client) const {
    std::uint64_t sum = 0;
    for (const auto& one : downloads)
        sum += one->client == client ? one->sent : 0;
    return sum;
}

std::uint64_t rate_simulation::sent_in_class(std::size_t class_index) const {
    std::uint64_t sum = 0;
    for (const auto& one : downloads)
        sum += one->class_index == class_index ? one->sent : 0;
    return sum;
}

std::uint64_t rate_simulation::sent() const {
    std::uint64_t sum = 0;
    for (const auto& one : downloads)
        sum += one->sent;
    return sum;
}

std::uint64_t rate_simulation::wakes() const {
    std::uint64_t sum = 0;
    for (const auto& one : downloads)
        sum += one->wakes;
    return sum;
}

double rate_simulation::longest_burst() const {
    double longest = all_watch_.longest_burst();
    for (const auto& [key, watch] : class_watches_)
        longest = std::max(longest, watch.longest_burst());
    for (const auto& [key, watch] : client_watches_)
        longest = std::max(longest, watch.longest_burst());
    for (const auto& [key, watch] : share_watches_)
        longest = std::max(longest, watch.longest_burst());
    for (const auto& one : downloads)
        longest = std::max(longest, one->own_watch.longest_burst());
    return longest;
}

engine::limit_table limits_of(std::uint64_t all_rate, std::uint64_t client_rate, std::size_t count) {
    engine::limit_table limits;
    limits.all.rate = all_rate;
    limits.all.client_rate = client_rate;
    for (std::size_t i = 1; i < count; ++i)
        limits.classes.push_back({"c" + std::to_string(i), {}, 1, 0});
    return limits;
}

} // namespace dlhandoff::test
