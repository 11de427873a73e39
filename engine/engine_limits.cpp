// The part of the engine that keeps to the limits: turns, rates, and what it shares with other engines.

#include "engine/engine.hpp"
#include "engine/transfer.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace dlhandoff::engine {
namespace {

/// The next round is due at once after these, which can send.
constexpr int started_at_once = 64;
/// How often it is looked at whether other engines use less of what is shared with them.
constexpr std::chrono::milliseconds recheck_pause{15};
/// How often, while something waits for others or is refused, it is looked whether one of them was killed.
constexpr std::chrono::seconds reclaim_pause{1};
/// How often those who share the kernel's memory are counted: they come and go seldom.
constexpr std::chrono::milliseconds count_pause{200};
/// How often the engines that share a rate tell each other how many want it.
constexpr std::chrono::milliseconds share_pause{100};

/// Of a rate, for those who want it here, if so many others do.
double fraction_of(std::size_t own, std::uint64_t others) noexcept {
    const auto mine = static_cast<double>(std::max<std::size_t>(own, 1));
    return mine / (mine + static_cast<double>(others));
}

} // namespace

void engine::start(transfer& one) {
    try {
        one.start();
    } catch (const std::exception&) { // no memory
        return finish(one, outcome::error);
    }
    make_ready(one);
}

void engine::turn_away(transfer& one) {
    admission_.leave(one);
    try {
        one.turn_away();
    } catch (const std::exception&) { // no memory
        return finish(one, outcome::error);
    }
    make_ready(one);
}

void engine::start_those_whose_turn_it_is() {
    for (int i = 0; i < started_at_once; ++i) {
        admission::entry* const next = admission_.next(loop_.now());
        if (next == nullptr)
            return;
        start(static_cast<transfer&>(*next));
    }
}

void engine::set_limits(limit_table limits, std::uint64_t tcp_memory) {
    admission_.set_limits(limits);
    const limit_table before = std::exchange(options_.limits, std::move(limits));
    for (transfer* one = all_; one != nullptr; one = one->next)
        one->limits_changed(options_.limits.class_of(one->facts().transfer_class),
                            before.classes[one->limits_class()].own);
    tcp_memory_.set_budget(tcp_memory);
    bandwidth_.set_limits(options_.limits, loop_.now());
    for (transfer* one = all_; one != nullptr; one = one->next)
        one->rates_changed();
}

bool engine::reclaim_killed() {
    const auto now = loop_.now();
    if (options_.ledger == nullptr || now < reclaim_at_)
        return false;
    reclaim_at_ = now + reclaim_pause;
    return options_.ledger->reclaim_dead() != 0;
}

void engine::run_limits() {
    const auto now = loop_.now();
    if (now >= recheck_at_) {
        reclaim_killed();
        admission_.recheck();
        recheck_at_ = clock::time_point::max();
    }
    if (options_.ledger != nullptr && now >= count_at_) {
        count_at_ = now + count_pause;
        share_memory_with(std::max<std::size_t>(options_.ledger->held(), 1));
    }
    start_those_whose_turn_it_is();
    if (recheck_at_ == clock::time_point::max() && admission_.held_back())
        recheck_at_ = now + recheck_pause;
    if (options_.member != nullptr && now >= share_at_)
        share_rates();
}

/// The rate of all is divided among the classes that are busy at any engine, by weight, and the part of each
/// among engines by how many of its clients are busy where.
void engine::share_rates() {
    const auto now = loop_.now();
    share_at_ = now + share_pause;
    demands_ = false;
    ledger_member& shared = *options_.member;
    const bool all_share = options_.limits.all.rate != 0;
    const std::size_t own_clients = all_share ? bandwidth_.busy_clients(now) : 0;
    shared.set_demand(static_cast<std::uint32_t>(own_clients));
    demands_ = own_clients != 0;
    double weights = 0;
    double weighted = 0;
    for (std::size_t i = 0; i < options_.limits.classes.size(); ++i) {
        const class_limits& its = options_.limits.classes[i];
        const auto index = static_cast<std::uint32_t>(i);
        const bool shares = all_share || its.own.rate != 0;
        const std::size_t own = shares ? bandwidth_.busy_clients(i, now) : 0;
        shared.set_demand(index, static_cast<std::uint32_t>(own));
        demands_ = demands_ || own != 0;
        if (!shares)
            continue;
        const std::uint64_t others = shared.others(index).demand;
        if (its.own.rate != 0)
            bandwidth_.set_class_fraction(i, fraction_of(own, others), now);
        if (own + others == 0)
            continue;
        weights += its.weight;
        if (own != 0)
            weighted += its.weight * fraction_of(own, others);
    }
    // Who has nobody yet keeps some for whoever comes before the next look.
    if (all_share)
        bandwidth_.set_fraction(
            weighted > 0 ? weighted / weights : fraction_of(own_clients, shared.others().demand), now);
}

/// By how many of the client's downloads each engine sends.
double engine::client_fraction(std::string_view client_key, std::optional<std::size_t> limits_class) const {
    if (options_.member == nullptr)
        return 1;
    const ledger_member& shared = *options_.member;
    const std::uint64_t client = keyed_hash(shared.key(), client_key);
    if (limits_class)
        return fraction_of(admission_.client_active(client_key, *limits_class),
                           shared.others_active(static_cast<std::uint32_t>(*limits_class), client));
    return fraction_of(admission_.client_active(client_key), shared.others_active(client));
}

} // namespace dlhandoff::engine
