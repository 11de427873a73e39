/// How an admission takes new limits over.
#include "engine/limits/admission.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace dlhandoff::engine {
namespace {

void check(const limit_table& limits) {
    const auto& classes = limits.classes;
    if (classes.empty() || classes.size() > ledger::max_classes)
        throw std::invalid_argument("limits: " + std::to_string(classes.size()) +
                                    " classes; allowed are 1 to " + std::to_string(ledger::max_classes));
    for (auto one = classes.begin(); one != classes.end(); ++one) {
        if (one->weight == 0)
            throw std::invalid_argument("limits: class \"" + one->name +
                                        "\" has weight 0; allowed is 1 or more");
        if (std::any_of(classes.begin(), one, [one](const auto& other) { return other.name == one->name; }))
            throw std::invalid_argument("limits: there are two classes \"" + one->name + "\"");
    }
}

} // namespace

void admission::set_limits(const limit_table& limits) {
    check(limits);
    std::vector<std::unique_ptr<class_queue>> queues(limits.classes.size());
    std::vector<level> levels;
    for (std::size_t i = 0; i < queues.size(); ++i) {
        const class_limits& one = limits.classes[i];
        if (std::none_of(queues_.begin(), queues_.end(),
                         [&one](const auto& old) { return old->name == one.name; })) {
            queues[i] = std::make_unique<class_queue>();
            queues[i]->name = one.name;
        }
        if (std::none_of(levels.begin(), levels.end(),
                         [&one](const level& other) { return other.priority == one.priority; }))
            levels.push_back({one.priority});
    }

    // Nothing throws from here on.
    std::vector<std::unique_ptr<class_queue>> gone = std::move(queues_);
    for (std::size_t i = 0; i < queues.size(); ++i)
        for (auto& old : gone)
            if (old != nullptr && old->name == limits.classes[i].name)
                queues[i] = std::move(old);
    queues_ = std::move(queues);
    levels_ = std::move(levels);
    all_ = limits.all;
    held_ = false;
    recheck_line_ = 0;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        const class_limits& one = limits.classes[i];
        class_queue& in = *queues_[i];
        in.own = one.own;
        in.priority = one.priority;
        in.stride = (std::uint64_t{1} << 32) / one.weight;
        in.level_index = static_cast<std::size_t>(
            std::find_if(levels_.begin(), levels_.end(),
                         [&one](const level& other) { return other.priority == one.priority; }) -
            levels_.begin());
        in.pass = 0; // what it meant beside other queues is gone
        in.running = in.held = false;
        in.looks = 0;
        in.next_index = static_cast<std::uint32_t>(i);
        park_all(in);
    }
    for (const auto& old : gone)
        if (old != nullptr) {
            old->next_index = 0;
            park_all(*old);
        }
    renumber_classes();
    for (const auto& old : gone)
        if (old != nullptr)
            while (!old->parked.empty())
                move_to_default(old->parked.front());
    for (auto& [key, one] : clients_) // those of which nothing waits
        for (auto at = one.shares.begin(); at != one.shares.end();) {
            share& each = *at++; // may be dropped
            if (std::find_if(queues_.begin(), queues_.end(),
                             [&each](const auto& in) { return in.get() == each.at; }) == queues_.end())
                move_to_default(each);
        }
    for (const auto& in : queues_) {
        share_list in_order;
        in_order.swap(in->parked);
        while (!in_order.empty()) {
            share& one = in_order.front();
            in_order.pop_front();
            one.stands = place::nowhere;
            place_at(one, at_own_limit(one) ? place::parked : place::ring);
        }
    }
}

void admission::park_all(class_queue& in) noexcept {
    share_list in_order;
    for (share_list* from : {&in.ring, &in.parked, &in.aside})
        in_order.splice(in_order.end(), *from);
    for (share& one : in_order)
        one.stands = place::parked;
    in.parked.swap(in_order);
}

/// The classes' indexes, here and in the ledger. What is moved there is counted twice for a moment, never
/// not.
void admission::renumber_classes() noexcept {
    if (member_ != nullptr)
        for (const auto& [key, one] : clients_)
            for (const share& each : one.shares) {
                const std::uint32_t from = each.at->index;
                const std::uint32_t to = each.at->next_index;
                if (from == to)
                    continue;
                for (std::uint32_t i = 0; i < each.active; ++i) {
                    member_->add_active(to, one.hash);
                    member_->remove_active(from, one.hash);
                }
                for (auto at = each.waiting.begin(); at != each.waiting.end(); ++at) {
                    member_->add_waiting(to);
                    member_->remove_waiting(from);
                }
            }
    for (const auto& in : queues_)
        in->index = in->next_index;
}

/// From a class that is gone to class 0: into the client's share there, if it has one.
void admission::move_to_default(share& one) noexcept {
    class_queue& to = *queues_.front();
    to.active += one.active;
    to.waiting += static_cast<std::uint32_t>(one.waiting.size());
    const bool waits = !one.waiting.empty();
    place_at(one, place::nowhere);
    const auto at = std::find_if(one.owner->shares.begin(), one.owner->shares.end(),
                                 [&to](const share& other) { return other.at == &to; });
    if (at == one.owner->shares.end()) {
        one.at = &to;
        if (waits)
            place_at(one, place::parked);
        return;
    }
    for (entry_list* each : {&one.waiting, &one.admitted})
        for (entry& moved : *each)
            moved.share_ = &*at;
    at->waiting.merge(one.waiting, [](const entry& a, const entry& b) { return a.since_ < b.since_; });
    at->admitted.splice(at->admitted.end(), one.admitted);
    at->active += std::exchange(one.active, 0);
    if (waits)
        place_at(*at, place::parked);
    drop_if_empty(one);
}

} // namespace dlhandoff::engine
