#include "engine/limits/rate_sharing.hpp"

#include "engine/limits/admission.hpp"
#include "engine/limits/bandwidth.hpp"
#include "engine/limits/keyed_hash.hpp"
#include "engine/limits/ledger.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace dlhandoff::engine {
namespace {

/// How often the engines that share a rate tell each other how many want it.
constexpr std::chrono::milliseconds share_pause{100};

/// Of a rate, for those who want it here, if so many others do.
double fraction_of(std::size_t own, std::uint64_t others) noexcept {
    const auto mine = static_cast<double>(std::max<std::size_t>(own, 1));
    return mine / (mine + static_cast<double>(others));
}

} // namespace

rate_sharing::rate_sharing(std::shared_ptr<ledger_member> member) noexcept : member_(std::move(member)) {}

clock::time_point rate_sharing::next_deadline() const noexcept {
    return demands_ ? share_at_ : clock::time_point::max();
}

/// The rate of all is divided among the classes that are busy at any engine, by weight, and the part of each
/// among engines by how many of its clients are busy where.
void rate_sharing::run_due(const limit_table& limits, bandwidth& rates, clock::time_point now) {
    if (!member_ || now < share_at_)
        return;
    share_at_ = now + share_pause;
    demands_ = false;
    ledger_member& shared = *member_;
    const bool all_share = limits.all.rate != 0;
    const std::size_t own_clients = all_share ? rates.busy_clients(now) : 0;
    shared.set_demand(static_cast<std::uint32_t>(own_clients));
    demands_ = own_clients != 0;
    double weights = 0;
    double weighted = 0;
    for (std::size_t i = 0; i < limits.classes.size(); ++i) {
        const class_limits& its = limits.classes[i];
        const auto index = static_cast<std::uint32_t>(i);
        const bool shares = all_share || its.own.rate != 0;
        const std::size_t own = shares ? rates.busy_clients(i, now) : 0;
        shared.set_demand(index, static_cast<std::uint32_t>(own));
        demands_ = demands_ || own != 0;
        if (!shares)
            continue;
        const std::uint64_t others = shared.others(index).demand;
        if (its.own.rate != 0)
            rates.set_class_fraction(i, fraction_of(own, others), now);
        if (own + others == 0)
            continue;
        weights += its.weight;
        if (own != 0)
            weighted += its.weight * fraction_of(own, others);
    }
    // Who has nobody yet keeps some for whoever comes before the next look.
    if (all_share)
        rates.set_fraction(
            weighted > 0 ? weighted / weights : fraction_of(own_clients, shared.others().demand), now);
}

double rate_sharing::client_fraction(const admission& active, std::string_view client_key,
                                     std::optional<std::size_t> limits_class) const {
    if (!member_)
        return 1;
    const ledger_member& shared = *member_;
    const std::uint64_t client = keyed_hash(shared.key(), client_key);
    if (limits_class)
        return fraction_of(active.client_active(client_key, *limits_class),
                           shared.others_active(static_cast<std::uint32_t>(*limits_class), client));
    return fraction_of(active.client_active(client_key), shared.others_active(client));
}

} // namespace dlhandoff::engine
