#include "engine/engine.hpp"

#include "engine/client/plain_channel.hpp"
#include "engine/client/sealed_channel.hpp"
#include "engine/offer_check.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

/// A worker whose offer waits in the loop is held meanwhile: what has not had its turn by then has it in the
/// next round.
constexpr std::chrono::microseconds longest_round{300};

/// The next round is due at once after these, which can send.
constexpr int started_at_once = 64;
/// How often it is looked at whether other engines use less of what is shared with them.
constexpr std::chrono::milliseconds recheck_pause{15};
/// How often, while something waits for others or is refused, it is looked whether one of them was killed.
constexpr std::chrono::seconds reclaim_pause{1};
/// How often those who share the kernel's memory are counted: they come and go seldom.
constexpr std::chrono::milliseconds count_pause{200};

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
      rate_sharing_(options_.member),
      bandwidth_([this](std::string_view client_key, std::optional<std::size_t> limits_class) {
          return rate_sharing_.client_fraction(admission_, client_key, limits_class);
      }),
      idle_(loop, std::move(options_.returns), options_.max_idle), next_listed_(all_.end()),
      id_prefix_(make_id_prefix()), surroundings_{loop_,
                                                  deadlines_,
                                                  read_ahead_,
                                                  workplace_,
                                                  tcp_memory_,
                                                  bandwidth_,
                                                  bursts_,
                                                  options_.limits,
                                                  options_.on_file_failure,
                                                  bytes_sent_,
                                                  *this} {
    bandwidth_.set_limits(options_.limits, clock::now());
    log_.report_losses_to(options_.on_log_loss);
}

engine::~engine() {
    end_all(outcome::shutdown);
    log_.close();
}

std::variant<engine::prepared, refusal> engine::prepare(offer offered,
                                                        std::vector<file_descriptor> descriptors) {
    if (!accepting_)
        return refusal::stopping;
    if (const auto wrong = check_offer(offered, descriptors))
        return *wrong;
    return prepare_checked(std::move(offered), std::move(descriptors));
}

std::variant<engine::prepared, refusal> engine::prepare_checked(offer offered,
                                                                std::vector<file_descriptor> descriptors) {
    if (!accepting_)
        return refusal::stopping;
    const request_facts facts = offered.facts();
    const std::size_t limits_class = options_.limits.class_of(facts.transfer_class);
    const auto is_full = [&] {
        return admission_.foresee(limits_class, facts.client_key, loop_.now()) == admission::answer::full;
    };
    // Killed engines hold places until somebody clears their columns. While nothing waits, that is done here
    // alone.
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
    channel::pointer over = plain_channel::shared();
    if (const auto* session = offered.tls())
        over.reset(new sealed_channel(*session));
    offered.forget_secrets();
    auto ready = std::make_unique<transfer>(surroundings_, std::move(offered), std::move(descriptors[0]),
                                            std::move(files), std::move(over));
    if (!ready->watch())
        ready.reset();
    return ready;
}

void engine::begin(prepared ready) {
    const request_facts facts = ready->facts();
    const std::size_t limits_class = options_.limits.class_of(facts.transfer_class);
    deadlines_.reserve(all_.size() + 1);
    const auto may = admission_.enter(*ready, limits_class, facts.client_key, loop_.now());
    transfer& one = *ready.release(); // nothing throws from here on
    all_.push_front(one);
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
        on_ready(static_cast<transfer_pace::rate_entry&>(one).owner);
    });
    // Those that are ready now; who has used up its turn queues behind them and waits for the next round.
    if (!ready_.empty()) {
        const transfer* const last = &ready_.back();
        for (bool done = false; !done && !ready_.empty();) {
            transfer& one = ready_.front();
            done = &one == last;
            ready_.pop_front();
            one.turn();
            done = done || clock::now() - loop_.now() > longest_round;
        }
    }
    run_limits();
    idle_.run_due();
    log_.flush();
}

clock::time_point engine::next_deadline() const noexcept {
    if (!ready_.empty())
        return {};
    const auto other = std::min(
        {idle_.next_deadline(), bandwidth_.next_deadline(), recheck_at_, rate_sharing_.next_deadline()});
    return deadlines_.empty() ? other : std::min(other, deadlines_.earliest().deadline);
}

void engine::stop_accepting() {
    accepting_ = false;
}

void engine::end_all(outcome how) {
    while (!all_.empty())
        on_end(all_.front(), how, connection_end::close);
    idle_.close_all();
    log_.flush();
}

void engine::set_log(transfer_log log) {
    log_.close();
    log_ = std::move(log);
    log_.report_losses_to(options_.on_log_loss);
}

// What transfers say.

void engine::on_ready(transfer& one) noexcept {
    if (!one.ready_hook.is_linked())
        ready_.push_back(one);
}

void engine::on_delivered(transfer& one) noexcept {
    admission_.leave(one);
}

void engine::on_queue_timeout(transfer& one) {
    turn_away(one);
}

/// Destroys it, whatever fails: its log line may be lost, or its connection closed.
void engine::on_end(transfer& ended, outcome how, connection_end end) noexcept {
    const prepared owner(&ended);
    ended.leave_rates();
    admission_.leave(ended);
    if (ended.ready_hook.is_linked())
        ready_.erase(ready_.iterator_to(ended));
    deadlines_.remove(ended);
    if (next_listed_ != all_.end() && &*next_listed_ == &ended)
        ++next_listed_;
    all_.erase(all_.iterator_to(ended));
    add_to_log(ended, how);
    ended.forget_keys();
    if (end == connection_end::keep_alive)
        idle_.take(ended.release_client(), ended.returning(), ended);
    else
        ended.prepare_close(how);
}

void engine::add_to_log(const transfer& one, outcome how) noexcept try {
    transfer_record record = one.record(how);
    const std::string id = id_of(one);
    record.id = id;
    record.manager = options_.manager;
    log_.add(record);
} catch (const std::exception&) { // no memory: costs the line
}

// Limits: whose turn it is.

void engine::start(transfer& one) {
    try {
        one.start();
    } catch (const std::exception&) { // no memory
        return on_end(one, outcome::error, connection_end::close);
    }
    on_ready(one);
}

void engine::turn_away(transfer& one) {
    admission_.leave(one);
    try {
        one.turn_away();
    } catch (const std::exception&) { // no memory
        return on_end(one, outcome::error, connection_end::close);
    }
    on_ready(one);
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
    for (transfer& one : all_)
        one.limits_changed(options_.limits.class_of(one.facts().transfer_class),
                           before.classes[one.limits_class()].own);
    tcp_memory_.set_budget(tcp_memory);
    bandwidth_.set_limits(options_.limits, loop_.now());
    for (transfer& one : all_)
        one.rates_changed();
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
    rate_sharing_.run_due(options_.limits, bandwidth_, now);
}

// Those under way: what is told of them, and ending one by its id.

bool engine::list(std::size_t most, const std::function<void(const transfer_listing&)>& visit) {
    for (; most != 0 && next_listed_ != all_.end(); --most) {
        const transfer& one = *next_listed_++;
        transfer_listing line = one.listing();
        line.id = id_of(one);
        line.manager = options_.manager;
        visit(line);
    }
    return next_listed_ != all_.end();
}

bool engine::cancel(std::string_view id) {
    if (!id.starts_with(id_prefix_))
        return false;
    const std::string_view digits = id.substr(id_prefix_.size());
    std::uint64_t number = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{})
        return false;
    const auto found = std::ranges::find(all_, number, &transfer::number);
    if (found == all_.end() || id_of(*found) != id)
        return false;
    on_end(*found, outcome::cancelled, connection_end::close);
    return true;
}

std::string engine::id_of(const transfer& one) const {
    return id_prefix_ + std::to_string(one.number());
}

} // namespace dlhandoff::engine
