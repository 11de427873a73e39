#include "engine/limits/admission.hpp"

#include <algorithm>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::uint64_t rebase_at = std::uint64_t{1} << 40;

bool reached(std::uint32_t limit, std::uint64_t use) noexcept {
    return limit != 0 && use >= limit;
}

std::int64_t nanoseconds(clock::time_point when) noexcept {
    return std::chrono::nanoseconds(when.time_since_epoch()).count();
}

} // namespace

std::size_t admission::entry::class_index() const noexcept {
    return share_->at->index;
}

std::string_view admission::entry::client_key() const noexcept {
    return share_->owner->key;
}

admission::share_list& admission::class_queue::list_of(place where) noexcept {
    return where == place::ring ? ring : where == place::parked ? parked : aside;
}

bool admission::class_queue::servable() const noexcept {
    return !ring.empty() && !held && !reached(own.transfers, active);
}

admission::admission(const limit_table& limits, ledger_member* member)
    : member_(member), clients_(0, client_hash{member ? member->key() : random_hash_key()}) {
    set_limits(limits);
}

admission::~admission() = default;

admission::class_queue& admission::queue_of(std::size_t class_index) const noexcept {
    return *queues_[class_index < queues_.size() ? class_index : 0];
}

std::size_t admission::active(std::size_t class_index) const noexcept {
    return queue_of(class_index).active;
}

std::size_t admission::client_active(std::string_view client_key) const noexcept {
    const auto found = clients_.find(client_key);
    return found == clients_.end() ? 0 : found->second.active;
}

std::size_t admission::client_active(std::string_view client_key, std::size_t class_index) const noexcept {
    const auto found = clients_.find(client_key);
    if (found == clients_.end())
        return 0;
    for (const share& one : found->second.shares)
        if (one.at->index == class_index)
            return one.active;
    return 0;
}

std::size_t admission::waiting(std::size_t class_index) const noexcept {
    return queue_of(class_index).waiting;
}

admission::share& admission::find_or_make(class_queue& in, std::string_view client_key) {
    auto at = clients_.find(client_key);
    const bool added = at == clients_.end();
    if (added) {
        at = clients_.try_emplace(std::string(client_key)).first;
        at->second.key = at->first;
        at->second.hash = keyed_hash(clients_.hash_function().key, client_key);
    }
    client& owner = at->second;
    for (share& one : owner.shares)
        if (one.at == &in)
            return one;
    try {
        return owner.shares.emplace_back(owner, in);
    } catch (...) {
        if (added)
            clients_.erase(at);
        throw;
    }
}

void admission::drop_if_empty(share& one) noexcept {
    if (one.active != 0 || !one.waiting.empty())
        return;
    client& owner = *one.owner;
    place_at(one, place::nowhere);
    owner.shares.remove_if([&one](const share& other) { return &other == &one; });
    if (owner.shares.empty())
        clients_.erase(clients_.find(owner.key));
}

/// At the tail; one that is there already keeps its place.
void admission::place_at(share& one, place where) noexcept {
    if (one.stands == where)
        return;
    if (one.stands != place::nowhere)
        one.at->list_of(one.stands).erase(share_list::s_iterator_to(one));
    one.stands = where;
    if (where != place::nowhere)
        one.at->list_of(where).push_back(one);
}

bool admission::at_own_limit(const share& one) const noexcept {
    return reached(all_.per_client, one.owner->active) || reached(one.at->own.per_client, one.active);
}

void admission::replace_shares(client& one) noexcept {
    for (share& each : one.shares)
        if (!each.waiting.empty())
            place_at(each, at_own_limit(each) ? place::parked : place::ring);
}

bool admission::somebody_could_start() const noexcept {
    return std::any_of(queues_.begin(), queues_.end(), [](const auto& one) { return one->servable(); });
}

bool admission::queue_is_full(const class_queue& in) const noexcept {
    if (waiting_ >= all_.queue || in.waiting >= in.own.queue)
        return true;
    return member_ != nullptr && (waiting_ + member_->others().waiting >= all_.queue ||
                                  in.waiting + member_->others(in.index).waiting >= in.own.queue);
}

/// Own use and, with a ledger, the others'.
admission::obstacle admission::against(const class_queue& in, const client* of, const share* with,
                                       std::uint64_t hash) const noexcept {
    const std::uint32_t client_active = of != nullptr ? of->active : 0;
    const std::uint32_t share_active = with != nullptr ? with->active : 0;
    if (reached(all_.transfers, active_))
        return obstacle::all;
    if (reached(in.own.transfers, in.active))
        return obstacle::transfer_class;
    if (reached(all_.per_client, client_active) || reached(in.own.per_client, share_active))
        return obstacle::client;
    if (member_ == nullptr)
        return obstacle::none;
    if (all_.transfers != 0 && reached(all_.transfers, active_ + member_->others().active))
        return obstacle::all;
    if (in.own.transfers != 0 && reached(in.own.transfers, in.active + member_->others(in.index).active))
        return obstacle::transfer_class;
    if (all_.per_client != 0 && reached(all_.per_client, client_active + member_->others_active(hash)))
        return obstacle::client;
    if (in.own.per_client != 0 &&
        reached(in.own.per_client, share_active + member_->others_active(in.index, hash)))
        return obstacle::client;
    return obstacle::none;
}

ledger_member::better_fronts admission::fronts_to_yield_to(std::int32_t priority,
                                                           clock::time_point since) const noexcept {
    if (member_ == nullptr || all_.transfers == 0)
        return {};
    const auto better = member_->others_better(front_of(priority, nanoseconds(since)), given_up_);
    if (better.count == 0 || active_ + member_->others().active + better.count < all_.transfers)
        return {}; // there is a place for each of them
    return better;
}

bool admission::yields(std::int32_t priority, clock::time_point since, clock::time_point now) noexcept {
    for (;;) {
        const auto better = fronts_to_yield_to(priority, since);
        if (better.best != yielded_to_) {
            yielded_to_ = better.best;
            yielded_since_ = now;
        }
        if (better.count == 0)
            return false;
        if (now - yielded_since_ < front_patience)
            return true;
        given_up_ = better.best;
    }
}

admission::obstacle admission::hold(const share& in, clock::time_point since,
                                    clock::time_point now) noexcept {
    const class_queue& at = *in.at;
    const obstacle before = against(at, in.owner, &in, in.owner->hash);
    if (member_ == nullptr || before != obstacle::none) {
        if (before == obstacle::all)
            yielded_to_ = 0; // no place was left to anybody
        return before;
    }
    if (yields(at.priority, since, now))
        return obstacle::all;
    member_->add_active(at.index, in.owner->hash);
    const obstacle after = against(at, in.owner, &in, in.owner->hash);
    if (after != obstacle::none)
        member_->remove_active(at.index, in.owner->hash);
    return after;
}

/// Counted in the ledger already.
void admission::admit(share& in, entry& one) noexcept {
    one.state_ = entry::state::admitted;
    in.admitted.push_back(one);
    ++in.active;
    ++in.owner->active;
    ++in.at->active;
    ++active_;
}

admission::answer admission::foresee(std::size_t class_index, std::string_view client_key,
                                     clock::time_point now) const {
    const class_queue& in = queue_of(class_index);
    const auto at = clients_.find(client_key);
    const client* of = at != clients_.end() ? &at->second : nullptr;
    const share* with = nullptr;
    if (of != nullptr)
        for (const share& one : of->shares)
            if (one.at == &in)
                with = &one;
    const bool first = with == nullptr || with->waiting.empty();
    if (first && !held_ && !in.held && !somebody_could_start()) {
        const std::uint64_t hash =
            of != nullptr ? of->hash : keyed_hash(clients_.hash_function().key, client_key);
        const auto better = fronts_to_yield_to(in.priority, now);
        const bool yield =
            better.count != 0 && !(better.best == yielded_to_ && now - yielded_since_ >= front_patience);
        if (!yield && against(in, of, with, hash) == obstacle::none)
            return answer::admitted;
    }
    return queue_is_full(in) ? answer::full : answer::waits;
}

admission::answer admission::enter(entry& one, std::size_t class_index, std::string_view client_key,
                                   clock::time_point now) {
    class_queue& in = queue_of(class_index);
    share& with = find_or_make(in, client_key);
    obstacle against_it = obstacle::none;
    const bool overtakes = !with.waiting.empty() || held_ || in.held || somebody_could_start();
    if (!overtakes) {
        against_it = hold(with, now, now);
        if (against_it == obstacle::none) {
            one.share_ = &with;
            one.since_ = now;
            admit(with, one);
            replace_shares(*with.owner);
            return answer::admitted;
        }
    }
    if (member_ != nullptr)
        member_->add_waiting(in.index);
    if (queue_is_full(in)) {
        if (member_ != nullptr)
            member_->remove_waiting(in.index);
        drop_if_empty(with);
        return answer::full;
    }
    one.share_ = &with;
    one.since_ = now;
    one.state_ = entry::state::waiting;
    with.waiting.push_back(one);
    ++in.waiting;
    ++waiting_;
    if (with.stands == place::nowhere)
        place_at(with, at_own_limit(with)               ? place::parked
                       : against_it == obstacle::client ? place::aside
                                                        : place::ring);
    // Own limits say of themselves when they are off; what others use has to be asked again.
    if (member_ != nullptr && against_it == obstacle::all && !reached(all_.transfers, active_))
        held_ = true;
    if (member_ != nullptr && against_it == obstacle::transfer_class && !reached(in.own.transfers, in.active))
        in.held = true;
    publish_front();
    return answer::waits;
}

void admission::leave(entry& one) noexcept {
    if (one.state_ == entry::state::out)
        return;
    share& in = *one.share_;
    class_queue& at = *in.at;
    if (std::exchange(one.state_, entry::state::out) == entry::state::waiting) {
        in.waiting.erase(in.waiting.iterator_to(one));
        --at.waiting;
        --waiting_;
        if (member_ != nullptr)
            member_->remove_waiting(at.index);
        if (in.waiting.empty())
            place_at(in, place::nowhere);
    } else {
        in.admitted.erase(in.admitted.iterator_to(one));
        --in.active;
        --in.owner->active;
        --at.active;
        --active_;
        if (member_ != nullptr)
            member_->remove_active(at.index, in.owner->hash);
        held_ = at.held = false;
        replace_shares(*in.owner);
    }
    one.share_ = nullptr;
    drop_if_empty(in);
    forget_held_back();
}

/// With nobody waiting, nobody is held back.
void admission::forget_held_back() noexcept {
    if (waiting_ == 0)
        held_ = false;
    for (const auto& one : queues_)
        if (one->waiting == 0)
            one->held = false;
}

/// Of those that can be served: the highest priority, then the least pass. A queue that could not be served
/// before gets no credit for that time.
admission::class_queue* admission::pick() noexcept {
    class_queue* best = nullptr;
    for (const auto& one : queues_) {
        const bool servable = one->servable();
        if (servable && !one->running)
            one->pass = std::max(one->pass, levels_[one->level_index].virtual_time);
        one->running = servable;
        if (servable && (best == nullptr || one->priority > best->priority ||
                         (one->priority == best->priority && one->pass < best->pass)))
            best = one.get();
    }
    return best;
}

/// Passes only mean something beside the virtual time, and are moved back with it before they overflow.
void admission::charge(class_queue& served) noexcept {
    level& at = levels_[served.level_index];
    at.virtual_time = served.pass;
    served.pass += served.stride;
    if (at.virtual_time < rebase_at)
        return;
    for (const auto& one : queues_)
        if (one->level_index == served.level_index)
            one->pass -= std::min(one->pass, at.virtual_time);
    at.virtual_time = 0;
}

admission::entry* admission::next(clock::time_point now) noexcept {
    while (waiting_ != 0 && !held_ && !reached(all_.transfers, active_)) {
        class_queue* const in = pick();
        if (in == nullptr)
            break;
        share& with = in->ring.front();
        entry& first = with.waiting.front();
        switch (hold(with, first.since_, now)) {
        case obstacle::none:
            with.waiting.pop_front();
            --in->waiting;
            --waiting_;
            if (member_ != nullptr)
                member_->remove_waiting(in->index);
            place_at(with, place::nowhere); // and to the tail, if it may start one more
            admit(with, first);
            replace_shares(*with.owner);
            charge(*in);
            forget_held_back();
            return &first;
        case obstacle::all:
            held_ = true;
            break;
        case obstacle::transfer_class:
            in->held = true;
            break;
        case obstacle::client:
            place_at(with, place::aside);
            in->held = ++in->looks >= recheck_shares; // enough until recheck(); other classes go on
            break;
        }
    }
    publish_front();
    return nullptr;
}

void admission::publish_front() noexcept {
    if (member_ == nullptr)
        return;
    const class_queue* const in =
        all_.transfers != 0 && (held_ || reached(all_.transfers, active_)) ? pick() : nullptr;
    member_->set_front(
        in == nullptr ? 0 : front_of(in->priority, nanoseconds(in->ring.front().waiting.front().since_)));
}

bool admission::held_back() const noexcept {
    return held_ || std::any_of(queues_.begin(), queues_.end(),
                                [](const auto& one) { return one->held || !one->aside.empty(); });
}

void admission::recheck() noexcept {
    held_ = false;
    std::size_t left = recheck_shares;
    const std::size_t first = recheck_line_;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        const std::size_t index = (first + i) % queues_.size();
        class_queue& one = *queues_[index];
        one.held = false;
        one.looks = 0;
        if (left == 0 || one.aside.empty())
            continue;
        recheck_line_ = (index + 1) % queues_.size();
        for (; left > 0 && !one.aside.empty(); --left)
            place_at(one.aside.front(), place::ring);
    }
}

} // namespace dlhandoff::engine
