#include "engine/engine.hpp"

#include "engine/offer_check.hpp"
#include "engine/tls/tls_channel.hpp"
#include "engine/transfer.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

/// A worker whose offer waits in the loop is held meanwhile: what has not had its turn by then has it in the
/// next round.
constexpr std::chrono::microseconds longest_round{300};

void append_base36(std::string& to, std::int64_t value) {
    char digits[16];
    to.append(digits, std::to_chars(digits, digits + sizeof digits, value, 36).ptr);
    to += '-';
}

/// Differs between managers and between their lives, so that an id names one transfer for ever.
std::string make_id_prefix() {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    std::string prefix;
    append_base36(prefix, now.count());
    append_base36(prefix, ::getpid());
    return prefix;
}

} // namespace

engine::engine(event_loop& loop, engine_options options, transfer_log log)
    : loop_(loop), options_(std::move(options)), log_(std::move(log)), read_ahead_(loop),
      tcp_memory_(options_.tcp_memory), admission_(options_.limits, options_.member.get()),
      bandwidth_([this](std::string_view client_key, std::optional<std::size_t> limits_class) {
          return client_fraction(client_key, limits_class);
      }),
      idle_(loop, std::move(options_.returns), options_.max_idle), id_prefix_(make_id_prefix()) {
    bandwidth_.set_limits(options_.limits, clock::now());
}

engine::~engine() {
    end_all(outcome::shutdown);
    log_.flush();
}

void engine::transfer_deleter::operator()(transfer* ended) const noexcept {
    delete ended;
}

std::variant<engine::prepared, refusal> engine::prepare(offer offered,
                                                        std::vector<file_descriptor> descriptors) {
    if (!accepting_)
        return refusal::stopping;
    if (const auto wrong = check_offer(offered, descriptors))
        return *wrong;
    const request_facts facts = offered.facts();
    const std::size_t limits_class = options_.limits.class_of(facts.transfer_class);
    const auto is_full = [&] {
        return admission_.foresee(limits_class, facts.client_key, loop_.now()) == admission::answer::full;
    };
    // Where nobody may wait, nobody else looks for the killed.
    if (is_full() && !(reclaim_killed() && !is_full()))
        return refusal::full;
    auto ready = adopt(std::move(offered), std::move(descriptors));
    if (!ready)
        return refusal::full;
    return ready;
}

engine::prepared engine::adopt(offer offered, std::vector<file_descriptor> descriptors) {
    std::vector<file_reference> files;
    const auto identities = offered.files();
    files.reserve(identities.size());
    for (std::size_t i = 0; i < identities.size(); ++i)
        files.push_back(files_.adopt(identities[i], std::move(descriptors[i + 1])));
    std::unique_ptr<tls_channel> tls;
    if (const auto* session = offered.tls())
        tls = std::make_unique<tls_channel>(*session);
    offered.forget_secrets();
    prepared ready(
        new transfer(*this, std::move(offered), std::move(descriptors[0]), std::move(files), std::move(tls)));
    if (!ready->watch())
        ready.reset();
    return ready;
}

void engine::begin(prepared ready) {
    const request_facts facts = ready->facts();
    const std::size_t limits_class = options_.limits.class_of(facts.transfer_class);
    deadlines_.reserve(transfers_ + 1);
    const auto may = admission_.enter(*ready, limits_class, facts.client_key, loop_.now());
    transfer& one = *ready.release(); // nothing throws from here on
    one.next = all_;
    if (all_ != nullptr)
        all_->previous = &one;
    all_ = &one;
    ++transfers_;
    one.begin(++last_id_, limits_class);
    switch (may) {
    case admission::answer::admitted:
        return start(one);
    case admission::answer::waits:
        one.wait();
        return start_those_whose_turn_it_is();
    case admission::answer::full: // the last place has gone to another engine since prepare()
        return turn_away(one);
    }
}

void engine::run_turns() {
    while (!deadlines_.empty() && deadlines_.earliest().deadline <= loop_.now())
        deadlines_.earliest().on_deadline();
    bandwidth_.run_due(loop_.now(), [this](bandwidth::entry& one) {
        make_ready(static_cast<transfer::rate_entry&>(one).owner);
    });
    // Those that are ready now; who has used up its turn queues behind them and waits for the next round.
    if (transfer* const last = ready_last_; last != nullptr) {
        for (bool done = false; !done && ready_first_ != nullptr;) {
            transfer& one = *ready_first_;
            done = &one == last;
            take_from_turn_queue(one);
            one.turn();
            done = done || clock::now() - loop_.now() > longest_round;
        }
    }
    run_limits();
    idle_.run_due();
    log_.flush();
}

clock::time_point engine::next_deadline() const noexcept {
    if (ready_first_ != nullptr)
        return {};
    const auto sharing = demands_ ? share_at_ : clock::time_point::max();
    const auto other = std::min({idle_.next_deadline(), bandwidth_.next_deadline(), recheck_at_, sharing});
    return deadlines_.empty() ? other : std::min(other, deadlines_.earliest().deadline);
}

void engine::stop_accepting() {
    accepting_ = false;
    idle_.stop();
}

void engine::end_all(outcome how) {
    while (all_ != nullptr)
        finish(*all_, how);
    idle_.close_all();
    log_.flush();
}

void engine::set_log(transfer_log log) {
    log_.flush();
    log_ = std::move(log);
}

tls_workplace& engine::tls_place() {
    if (!tls_place_)
        tls_place_ = std::make_unique<tls_workplace>();
    return *tls_place_;
}

void engine::make_ready(transfer& one) noexcept {
    if (one.in_turn_queue)
        return;
    one.in_turn_queue = true;
    one.previous_ready = ready_last_;
    one.next_ready = nullptr;
    (ready_last_ != nullptr ? ready_last_->next_ready : ready_first_) = &one;
    ready_last_ = &one;
}

void engine::take_from_turn_queue(transfer& one) noexcept {
    if (!one.in_turn_queue)
        return;
    one.in_turn_queue = false;
    (one.previous_ready != nullptr ? one.previous_ready->next_ready : ready_first_) = one.next_ready;
    (one.next_ready != nullptr ? one.next_ready->previous_ready : ready_last_) = one.previous_ready;
}

void engine::add_to_log(const transfer& one, outcome how) noexcept try {
    transfer_record record = one.record(how);
    const std::string id = id_of(one);
    record.id = id;
    record.manager = options_.manager;
    log_.add(record);
} catch (const std::exception&) { // no memory: costs the line
}

void engine::finish(transfer& one, outcome how, connection_end end) noexcept {
    const prepared owner(&one);
    one.leave_rates();
    admission_.leave(one);
    take_from_turn_queue(one);
    deadlines_.remove(one);
    if (next_listed_ == &one)
        next_listed_ = one.next;
    (one.previous != nullptr ? one.previous->next : all_) = one.next;
    if (one.next != nullptr)
        one.next->previous = one.previous;
    --transfers_;
    add_to_log(one, how);

    if (one.is_tls() && tls_place_) {
        // They keep the key that was used last.
        tls_place_->sealing.wipe();
        tls_place_->opening.wipe();
    }
    // A client that only stopped reading keeps what the kernel queued for it unless the connection is reset;
    // a response that is all with the kernel is left to be delivered.
    if (end == connection_end::keep_alive)
        idle_.take(one.release_client(), one.returning(), one);
    else if (how == outcome::stalled || (how != outcome::client_closed && !one.all_in_tcp()))
        one.reset_on_close();
}

} // namespace dlhandoff::engine
