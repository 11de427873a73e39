#include "engine/limits/bandwidth.hpp"

#include <algorithm>

namespace dlhandoff::engine {
namespace {

constexpr double foreseen_seconds = 0.050;  // a download's part of a rate for so long is a grant ...
constexpr double least_seconds = 0.001;     // ... but all of the rate for so long is the least
constexpr double packet_bytes = 1460;       // or about a TCP segment, ...
constexpr double most_packet_seconds = 0.1; // ... where that doesn't take too long
constexpr std::chrono::milliseconds longest_hold{100}; // while fractions may change

/// `part`: of the rate, that the download may expect.
double quantum(double rate, double part) noexcept {
    return std::max({rate * part * foreseen_seconds, rate * least_seconds,
                     std::min(packet_bytes, rate * most_packet_seconds)});
}

double one_of(std::size_t count) noexcept {
    return 1.0 / static_cast<double>(std::max<std::size_t>(1, count));
}

bool somebody_waits_for(const fair_node& node) noexcept {
    return node.is_held() || !node.children.empty();
}

} // namespace

template <class Do>
void bandwidth::for_each_bucket(entry& one, Do what) noexcept {
    const auto if_in_force = [&what](token_bucket& bucket) {
        if (bucket.in_force())
            what(bucket);
    };
    if_in_force(one.bucket);
    if (rate_share* const share = share_of(one); share != nullptr) {
        if_in_force(share->bucket);
        if_in_force(share->client->bucket);
        if_in_force(share->its_class().bucket);
        if_in_force(tree_.root.bucket);
    }
}

std::uint64_t bandwidth::ask_limited(entry& one, std::uint64_t wanted, clock::time_point now) noexcept {
    one.active_at_ = now;
    make_busy(one);
    if (one.granted_ > 0) {
        if (one.woken_hook_.is_linked())
            woken_.erase(woken_.iterator_to(one));
        if (one.lowering_ == lowerings_) {
            // What came in until now came in beside the grant.
            for_each_bucket(one, [now](token_bucket& bucket) { bucket.available(now); });
            return answer(one, wanted);
        }
        give_back(one); // it was of a rate that has been lowered
    }
    one.wanted_ = wanted;
    if (one.waits_for_rate())
        return 0;
    if (one.parent != nullptr)
        refresh_fractions(*share_of(one), now);
    const std::uint64_t bytes = grant_size(one);
    if (one.bucket.in_force() && !one.bucket.has(bytes, now)) {
        tree_.hold(one, one.bucket.when(bytes));
        return 0;
    }
    if (one.parent != nullptr && others_wait(one)) {
        tree_.enqueue(one);
        pending_ = pending_ || tree_.can_serve();
        return 0;
    }
    clock::time_point until;
    if (fair_item* const lacking = short_of(one, bytes, now, until); lacking != nullptr) {
        tree_.enqueue(one);
        tree_.hold(*lacking, until);
        return 0;
    }
    grant(one, bytes, now);
    return answer(one, wanted);
}

std::uint64_t bandwidth::answer(entry& one, std::uint64_t wanted) noexcept {
    one.answered_ = std::min({wanted, one.granted_, largest_answer});
    return one.answered_;
}

void bandwidth::charge(entry& one, std::uint64_t bytes) noexcept {
    rate_share* const share = share_of(one);
    if (share == nullptr)
        return;
    const auto charged = static_cast<double>(bytes);
    tree_.charge(one, charged);
    tree_.charge(*share, charged);
    tree_.charge(share->its_class(), charged);
    double& now = share->client->virtual_time;
    now = std::max(now, share->client_tag);
    share->client_tag = now + charged;
}

void bandwidth::grant(entry& one, std::uint64_t bytes, clock::time_point now) noexcept {
    one.granted_ = bytes;
    one.lowering_ = lowerings_;
    one.active_at_ = now;
    for_each_bucket(one, [bytes](token_bucket& bucket) { bucket.grant(static_cast<double>(bytes)); });
    charge(one, bytes);
}

void bandwidth::spend(entry& one, std::uint64_t bytes) noexcept {
    const std::uint64_t used = std::min(bytes, one.granted_);
    const std::uint64_t beyond = bytes - used;
    for_each_bucket(one, [&](token_bucket& bucket) {
        bucket.spend(static_cast<double>(used));
        bucket.overspend(static_cast<double>(beyond));
    });
    if (beyond > 0)
        charge(one, beyond);
    one.granted_ -= used;
    if (bytes < one.answered_ || bytes == 0)
        give_back(one);
    one.answered_ = 0;
}

void bandwidth::give_back(entry& one) noexcept {
    if (one.granted_ == 0)
        return;
    const auto bytes = static_cast<double>(one.granted_);
    one.granted_ = 0;
    for_each_bucket(one, [bytes](token_bucket& bucket) { bucket.give_back(bytes); });
    rate_share* const share = share_of(one);
    if (share == nullptr)
        return;
    tree_.refund(one, bytes);
    tree_.refund(*share, bytes);
    tree_.refund(share->its_class(), bytes);
    share->client_tag =
        std::max(share->client_tag - bytes, std::min(share->client_tag, share->client->virtual_time));
    for (const auto& each : share->client->shares)
        tree_.hurry(*each, last_run_);
    tree_.hurry(share->its_class(), last_run_);
    tree_.hurry(tree_.root, last_run_);
}

bool bandwidth::stop_waiting(entry& one) noexcept {
    const bool waited = one.waits_for_rate();
    tree_.dequeue(one);
    if (one.woken_hook_.is_linked())
        woken_.erase(woken_.iterator_to(one));
    return waited;
}

/// The next run decides.
void bandwidth::wait_again(entry& one, clock::time_point now) noexcept {
    tree_.hold(one, now);
}

std::uint64_t bandwidth::grant_size(const entry& one) const noexcept {
    auto size = static_cast<double>(one.wanted_);
    const auto bound = [&size](const token_bucket& bucket, double part) {
        if (bucket.in_force())
            size = std::min(size, quantum(bucket.rate(), part));
    };
    bound(one.bucket, 1);
    if (const rate_share* const share = share_of(one); share != nullptr) {
        const rate_class& its = share->its_class();
        double part = one_of(share->downloads);
        bound(share->bucket, part);
        bound(share->client->bucket, one_of(share->client->downloads));
        part *= one_of(its.clients);
        bound(its.bucket, part);
        part *= its.weight / std::max<double>(busy_weight_, its.weight);
        bound(tree_.root.bucket, part);
    }
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(size));
}

fair_item* bandwidth::short_of(entry& one, std::uint64_t bytes, clock::time_point now,
                               clock::time_point& until) noexcept {
    const auto lacks = [&](token_bucket& bucket, std::uint64_t needed) {
        if (!bucket.in_force() || bucket.has(needed, now))
            return false;
        until = bucket.when(needed);
        return true;
    };
    if (lacks(one.bucket, bytes))
        return &one;
    rate_share* const share = share_of(one);
    if (share == nullptr)
        return nullptr;
    if (lacks(share->bucket, bytes) || lacks(share->client->bucket, bytes + reserved(*share, bytes))) {
        if (fraction_)
            until = std::min(until, now + longest_hold);
        return share;
    }
    if (lacks(share->its_class().bucket, bytes))
        return &share->its_class();
    return lacks(tree_.root.bucket, bytes) ? &tree_.root : nullptr;
}

/// Of the client's tokens, what a share must leave to the client's other shares, if one of them comes first:
/// it may be waiting for its class. Not all of them, so that it doesn't hold up the others.
std::uint64_t bandwidth::reserved(const rate_share& share, std::uint64_t bytes) noexcept {
    const rate_client& client = *share.client;
    if (!client.bucket.in_force())
        return 0;
    const auto place = [&client](const rate_share& of) {
        return std::max(of.client_tag, client.virtual_time);
    };
    const double own_place = place(share);
    for (const auto& other : client.shares)
        if (other.get() != &share && !other->children.empty() && place(*other) < own_place) {
            const double most = client.bucket.most();
            return static_cast<std::uint64_t>(
                std::max(0.0, std::min(0.4 * most, most - static_cast<double>(bytes))));
        }
    return 0;
}

/// Whether others come first. Not those in other shares of the client: reserved() sees to them.
bool bandwidth::others_wait(const entry& one) noexcept {
    const rate_share& share = *share_of(one);
    const fair_node& its = *share.parent;
    if ((share.bucket.in_force() || share.client->bucket.in_force()) && somebody_waits_for(share))
        return true;
    return (its.bucket.in_force() && somebody_waits_for(its)) ||
           (its.parent->bucket.in_force() && somebody_waits_for(*its.parent));
}

// ---- runs

clock::time_point bandwidth::next_deadline() const noexcept {
    const auto due = pending_ || !woken_.empty() ? last_run_ : tree_.next_release();
    return due == clock::time_point::max() ? due : std::max(due, last_run_ + tick);
}

void bandwidth::grant_due(clock::time_point now) noexcept {
    last_run_ = now;
    pending_ = false;
    look_over(now);
    while (fair_item* const item = tree_.release(now))
        release(*item, now);
    while (tree_.can_serve())
        serve_first(now);
}

void bandwidth::release(fair_item& item, clock::time_point now) noexcept {
    if (!item.is_leaf)
        return tree_.resume(static_cast<fair_node&>(item));
    auto& one = static_cast<entry&>(item);
    if (!one.limited_)
        return woken_.push_back(one);
    make_busy(one); // it asked under other limits, perhaps
    const std::uint64_t bytes = grant_size(one);
    if (one.bucket.in_force() && !one.bucket.has(bytes, now))
        return tree_.hold(one, one.bucket.when(bytes));
    if (one.parent != nullptr)
        return tree_.enqueue(one);
    grant(one, bytes, now);
    woken_.push_back(one);
}

/// Grants to the one whose turn it is, or holds whoever above it must wait for tokens.
void bandwidth::serve_first(clock::time_point now) noexcept {
    auto& one = static_cast<entry&>(tree_.first());
    refresh_fractions(*share_of(one), now);
    const std::uint64_t bytes = grant_size(one);
    clock::time_point until;
    if (fair_item* const lacking = short_of(one, bytes, now, until); lacking != nullptr)
        return tree_.hold(*lacking, until);
    grant(one, bytes, now);
    tree_.dequeue(one);
    woken_.push_back(one);
}

} // namespace dlhandoff::engine
