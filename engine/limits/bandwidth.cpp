#include "engine/limits/bandwidth.hpp"

#include <algorithm>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::chrono::milliseconds fraction_time{100};
constexpr std::chrono::milliseconds look_over_time{250};

} // namespace

bandwidth::bandwidth(client_fraction fraction)
    : fraction_(std::move(fraction)), clients_(0, client_hash{random_hash_key()}) {
    classes_ = make_classes({}, {});
}

bool bandwidth::needs_share(const rate_class& its) const noexcept {
    return (all_rate_ | all_client_rate_ | its.rate | its.client_rate) != 0;
}

void bandwidth::set_rate(token_bucket& bucket, std::uint64_t rate, double fraction,
                         clock::time_point now) noexcept {
    // A fraction, however small, is not "no rate".
    bucket.set_rate(rate == 0 ? 0 : std::max(1.0, static_cast<double>(rate) * std::clamp(fraction, 0.0, 1.0)),
                    now);
    if (bucket.granted() > bucket.most())
        ++lowerings_;
}

// ---- limits

bool bandwidth::same_rates(const limit_table& limits) const noexcept {
    return all_rate_ == limits.all.rate && all_client_rate_ == limits.all.client_rate &&
           std::equal(classes_.begin(), classes_.end(), limits.classes.begin(), limits.classes.end(),
                      [](const auto& ours, const class_limits& new_one) {
                          return ours->name == new_one.name && ours->rate == new_one.own.rate &&
                                 ours->client_rate == new_one.own.client_rate &&
                                 ours->weight == std::max(1U, new_one.weight);
                      });
}

bandwidth::classes bandwidth::make_classes(const limit_table& limits, clock::time_point now) {
    classes made;
    for (const class_limits& from : limits.classes) {
        auto one = std::make_unique<rate_class>();
        one->name = from.name;
        one->index = made.size();
        one->parent = &tree_.root;
        one->weight = std::max(1U, from.weight);
        one->rate = from.own.rate;
        one->client_rate = from.own.client_rate;
        for (const auto& old : classes_)
            if (old->name == from.name)
                one->fraction = old->fraction;
        set_rate(one->bucket, one->rate, one->fraction, now);
        made.push_back(std::move(one));
    }
    return made;
}

void bandwidth::set_limits(const limit_table& limits, clock::time_point now) {
    if (same_rates(limits))
        return;
    classes made = make_classes(limits, now);
    std::vector<std::size_t> moved;
    for (const auto& old : classes_)
        moved.push_back(limits.class_of(old->name));
    for (entry& one : all_) {
        detach(one);
        one.class_index_ = moved[one.class_index_];
    }
    classes_ = std::move(made);
    all_rate_ = limits.all.rate;
    all_client_rate_ = limits.all.client_rate;
    set_rate(tree_.root.bucket, all_rate_, all_fraction_, now);
    for (entry& one : all_)
        if (one.wanted_ > 0)
            wait_again(one, now);
    for (entry& one : all_)
        attach(one, now);
}

void bandwidth::set_fraction(double fraction, clock::time_point now) noexcept {
    if (std::exchange(all_fraction_, fraction) == fraction)
        return;
    set_rate(tree_.root.bucket, all_rate_, fraction, now);
    tree_.hurry(tree_.root, last_run_);
}

void bandwidth::set_class_fraction(std::size_t class_index, double fraction, clock::time_point now) noexcept {
    rate_class& its = *classes_[known(class_index)];
    if (std::exchange(its.fraction, fraction) == fraction)
        return;
    set_rate(its.bucket, its.rate, fraction, now);
    tree_.hurry(its, last_run_);
}

void bandwidth::refresh_fractions(rate_share& share, clock::time_point now) noexcept {
    rate_client& client = *share.client;
    if (!fraction_ || now < client.fraction_asked + fraction_time)
        return;
    client.fraction_asked = now;
    if (client.bucket.in_force())
        set_rate(client.bucket, all_client_rate_, fraction_(client.key, std::nullopt), now);
    for (const auto& each : client.shares) {
        const rate_class& its = each->its_class();
        if (each->bucket.in_force())
            set_rate(each->bucket, its.client_rate, fraction_(client.key, its.index), now);
    }
}

// ---- who takes part

void bandwidth::enter(entry& one, std::size_t class_index, std::string_view client_key,
                      std::uint64_t own_rate, clock::time_point now) {
    one.class_index_ = known(class_index);
    one.client_key_ = client_key;
    one.wanted_ = 0;
    set_rate(one.bucket, own_rate, 1, now);
    attach(one, now);
    all_.push_back(one);
}

void bandwidth::leave(entry& one) noexcept {
    if (!one.all_hook_.is_linked())
        return;
    detach(one);
    all_.erase(all_.iterator_to(one));
    one.bucket = {};
}

void bandwidth::set_own_rate(entry& one, std::uint64_t own_rate, clock::time_point now) noexcept {
    give_back(one);
    const bool waited = stop_waiting(one);
    set_rate(one.bucket, own_rate, 1, now);
    one.limited_ = one.parent != nullptr || one.bucket.in_force();
    if (waited)
        wait_again(one, now);
}

void bandwidth::attach(entry& one, clock::time_point now) {
    one.limited_ = one.bucket.in_force();
    rate_class& its = *classes_[one.class_index_];
    if (!needs_share(its))
        return;
    rate_share& share = share_for(one.client_key_, its, now);
    ++share.entries;
    one.parent = &share;
    one.tag = 0;
    one.limited_ = true;
}

rate_share& bandwidth::share_for(std::string_view client_key, rate_class& its, clock::time_point now) {
    auto found = clients_.find(client_key);
    if (found != clients_.end())
        for (const auto& each : found->second.shares)
            if (each->parent == &its)
                return *each;
    auto made = std::make_unique<rate_share>();
    const bool is_new = found == clients_.end();
    if (is_new) {
        found = clients_.try_emplace(std::string(client_key)).first;
        found->second.key = client_key;
        set_rate(found->second.bucket, all_client_rate_, 1, now);
    }
    rate_client& client = found->second;
    made->parent = &its;
    made->client = &client;
    set_rate(made->bucket, its.client_rate, 1, now);
    try {
        client.shares.push_back(std::move(made));
    } catch (...) {
        if (is_new)
            clients_.erase(found);
        throw;
    }
    client.fraction_asked = {};
    return *client.shares.back();
}

void bandwidth::detach(entry& one) noexcept {
    give_back(one);
    one.answered_ = 0;
    if (!stop_waiting(one))
        one.wanted_ = 0;
    make_idle(one);
    rate_share* const share = share_of(one);
    one.parent = nullptr;
    one.limited_ = one.bucket.in_force();
    if (share != nullptr && --share->entries == 0)
        drop_share(*share);
}

void bandwidth::drop_share(rate_share& share) noexcept {
    rate_client& client = *share.client;
    if (client.shares.size() == 1) {
        clients_.erase(clients_.find(client.key));
        return;
    }
    const auto found = std::find_if(client.shares.begin(), client.shares.end(),
                                    [&](const auto& each) { return each.get() == &share; });
    client.shares.erase(found);
}

// ---- who is busy

void bandwidth::make_busy(entry& one) noexcept {
    if (one.busy_hook_.is_linked())
        return;
    busy_.push_back(one);
    rate_share* const share = share_of(one);
    if (share == nullptr)
        return;
    if (share->downloads++ == 0 && share->its_class().clients++ == 0)
        busy_weight_ += share->its_class().weight;
    if (share->client->downloads++ == 0)
        ++busy_clients_;
}

void bandwidth::make_idle(entry& one) noexcept {
    if (!one.busy_hook_.is_linked())
        return;
    busy_.erase(busy_.iterator_to(one));
    rate_share* const share = share_of(one);
    if (share == nullptr)
        return;
    if (--share->downloads == 0 && --share->its_class().clients == 0)
        busy_weight_ -= share->its_class().weight;
    if (--share->client->downloads == 0)
        --busy_clients_;
}

/// Takes back what was granted and is not used, and finds out who is not busy any more.
void bandwidth::look_over(clock::time_point now) noexcept {
    if (now < looked_over_ + look_over_time)
        return;
    looked_over_ = now;
    for (auto at = busy_.begin(); at != busy_.end();) {
        entry& one = *at++;
        if (now >= one.active_at_ + grant_time && !one.woken_hook_.is_linked())
            give_back(one);
        if (now >= one.active_at_ + busy_time && !one.waits_for_rate())
            make_idle(one);
    }
}

std::size_t bandwidth::busy_clients(clock::time_point now) noexcept {
    look_over(now);
    return busy_clients_;
}

std::size_t bandwidth::busy_clients(std::size_t class_index, clock::time_point now) noexcept {
    look_over(now);
    return classes_[known(class_index)]->clients;
}

std::size_t bandwidth::busy_downloads(std::string_view client_key, clock::time_point now) noexcept {
    look_over(now);
    const auto found = clients_.find(client_key);
    return found == clients_.end() ? 0 : found->second.downloads;
}

} // namespace dlhandoff::engine
