#include "mod_dlhandoff/manager_client.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>
#include <utility>

namespace dlhandoff::httpd {
namespace {

using clock = manager_client::clock;

/// How often a manager is looked at whose heartbeat has stopped already.
constexpr std::chrono::milliseconds look_again{20};

/// Gives an offer up when its manager's heartbeat has stopped and another one, with room, is fresh.
class heartbeat_watch final : public manager_connection::watch {
  public:
    heartbeat_watch(const manager_connection& asked, manager_set except) noexcept
        : board_(*asked.the_board()), status_(board_.manager(asked.manager())), except_(except) {
        except_.set(asked.manager());
    }

    clock::time_point next_look(clock::time_point now) override {
        const std::uint64_t beat = status_.heartbeat.load(std::memory_order_relaxed);
        if (beat == manager_status::asleep || !is_fresh(status_, now))
            return now + look_again;
        const auto age = std::chrono::nanoseconds(static_cast<std::int64_t>(heartbeat_at(now) - beat));
        return now + std::clamp<clock::duration>(heartbeat_limit - age, look_again, heartbeat_limit);
    }

    bool gives_up(clock::time_point now) override {
        if (is_fresh(status_, now))
            return false;
        const auto other = choose_manager(board_, now, except_);
        return other && other->room && other->fresh;
    }

  private:
    const board& board_;
    const manager_status& status_;
    manager_set except_;
};

/// A duplicate that is needed no more, while the others go on.
bool is_stopping(const handoff_result& result) noexcept {
    return result.declined == decline(refusal::stopping);
}

/// Whether another manager may take what this one did not.
bool is_worth_another_try(const handoff_result& result) noexcept {
    if (!result.declined)
        return false;
    if (const auto* refused = std::get_if<refusal>(&*result.declined))
        return *refused == refusal::full;
    const auto why = std::get<decline_reason>(*result.declined);
    return why == decline_reason::manager_timeout || why == decline_reason::manager_down;
}

} // namespace

manager_client::manager_client(std::string path, std::chrono::microseconds claim_timeout)
    : path_(std::move(path)), claim_timeout_(claim_timeout) {}

/// Clears up what has been answered meanwhile, without waiting; which managers still owe. Needs the lock.
manager_set manager_client::settle_suspects() {
    manager_set owing;
    for (connection& suspect : suspects_) {
        if (!suspect) // memory ran out when it was put back
            continue;
        switch (suspect->settle(board_)) {
        case manager_connection::state::idle:
            // A late hello does not take the place of a board that came since.
            if (!board_ || suspect->the_board()->epoch() == board_->epoch())
                take_board_of(*suspect);
            put_back_locked(std::move(suspect));
            break;
        case manager_connection::state::awaiting_answer:
            if (suspect->the_board() == board_)
                owing.set(suspect->manager());
            break;
        case manager_connection::state::awaiting_hello:
        case manager_connection::state::broken:
            break;
        }
    }
    std::erase_if(suspects_, [](const connection& suspect) {
        return !suspect || suspect->now() == manager_connection::state::broken;
    });
    return owing;
}

/// So that a service that hangs does not cost a descriptor for each try, the oldest is given up for the next.
/// Needs the lock.
bool manager_client::may_owe_another_hello(clock::time_point now) {
    const auto owes = [](const connection& one) {
        return one->now() == manager_connection::state::awaiting_hello;
    };
    if (std::ranges::count_if(suspects_, owes) < (board_ ? 2 : 1))
        return true;
    if (now < hello_owed_until_)
        return false;
    suspects_.erase(std::ranges::find_if(suspects_, owes));
    return true;
}

/// Needs the lock.
void manager_client::drop_the_dead() {
    for (std::uint32_t index = 0; board_ && index < board_->managers(); ++index)
        if (connections& pool = idle_[index]; !pool.empty() && !pool.back()->manager_lives())
            std::erase_if(pool, [](const connection& one) { return !one->manager_lives(); });
}

/// The connection that was used last: the manager closes those first that have not been used for long. Needs
/// the lock.
manager_client::connection manager_client::take_idle(std::uint32_t manager) {
    connections& pool = idle_[manager];
    if (pool.empty())
        return nullptr;
    connection last = std::move(pool.back());
    pool.pop_back();
    return last;
}

/// One to the best of those that have a connection and room. Needs the lock.
manager_client::connection manager_client::take_any_idle(clock::time_point now, const manager_set& except) {
    manager_set without = except;
    for (std::uint32_t index = 0; index < most_managers; ++index)
        if (idle_[index].empty())
            without.set(index);
    const auto best = board_ ? choose_manager(*board_, now, without) : std::nullopt;
    return best && best->room ? take_idle(best->index) : nullptr;
}

/// A new service has a new board: connections to the old one have ended, or will. Needs the lock.
void manager_client::take_board_of(manager_connection& fresh) {
    if (board_ && fresh.the_board()->epoch() == board_->epoch())
        return fresh.share(board_);
    for (connections& pool : idle_)
        pool.clear();
    board_ = fresh.the_board();
}

/// Needs the lock.
void manager_client::put_back_locked(connection used) {
    switch (used->now()) {
    case manager_connection::state::idle:
        if (used->the_board() == board_)
            idle_[used->manager()].push_back(std::move(used));
        break;
    case manager_connection::state::awaiting_hello:
    case manager_connection::state::awaiting_answer:
        suspects_.push_back(std::move(used));
        break;
    case manager_connection::state::broken:
        break;
    }
}

/// Without memory the connection ends instead: what its offer came to is known already, and must not be lost.
void manager_client::put_back(connection used) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        put_back_locked(std::move(used));
    } catch (const std::bad_alloc&) {
        used.reset();
    }
}

std::variant<manager_client::connection, handoff_result>
manager_client::connect_anew(clock::time_point deadline, const shared_board& known) {
    std::variant<connection, handoff_result> made;
    std::optional<handoff_result> failed;
    const auto try_once = [&] {
        made = manager_connection::connect(path_);
        auto* fresh = std::get_if<connection>(&made);
        failed = fresh != nullptr ? (*fresh)->await_hello(deadline, known) : std::get<handoff_result>(made);
        return fresh != nullptr && failed && failed->declined == decline(decline_reason::manager_down);
    };
    // A manager may end with the connection on its way to it: the next one goes to another.
    if (try_once())
        (void)try_once();
    if (!failed)
        return made;
    if (auto* fresh = std::get_if<connection>(&made)) {
        const bool owes_hello = (*fresh)->now() == manager_connection::state::awaiting_hello;
        put_back(std::move(*fresh));
        if (owes_hello) {
            const std::lock_guard lock(mutex_);
            hello_owed_until_ = clock::now() + hello_pause;
            return *failed;
        }
        // From now on the board tells, or it was this moment's want of room alone.
        if (failed->declined == decline(refusal::full))
            return *failed;
    }
    const std::lock_guard lock(mutex_);
    paused_until_ = clock::now() + pause;
    pause_reason_ = *failed;
    return *failed;
}

/// What the board alone tells. Needs the lock.
std::optional<handoff_result>
manager_client::decline_without_asking(const std::optional<manager_choice>& best, const manager_set& owing,
                                       clock::time_point now) const {
    if (best && best->room)
        return std::nullopt;
    // A board on which no manager is fresh may be that of a service that has died: only connecting tells. So
    // it is if one seems to sleep, which a manager without room doesn't.
    if (best && best->fresh &&
        board_->manager(best->index).heartbeat.load(std::memory_order_relaxed) != manager_status::asleep)
        return handoff_result{refusal::full, 0};
    if (!best && board_) {
        const auto any = choose_manager(*board_, now);
        if (any && owing.test(any->index))
            return handoff_result{decline_reason::manager_unresponsive, 0};
    }
    return std::nullopt;
}

manager_client::found manager_client::find_connection(clock::time_point deadline, const manager_set& except) {
    found result;
    shared_board known;
    bool can_connect = true;
    bool has_other = false;
    manager_set avoided = except;
    std::optional<manager_choice> best;
    {
        const std::lock_guard lock(mutex_);
        const auto now = clock::now();
        const manager_set owing = settle_suspects();
        drop_the_dead();
        avoided |= owing;
        best = board_ ? choose_manager(*board_, now, avoided) : std::nullopt;
        if (const auto declined = decline_without_asking(best, owing, now)) {
            result.failure = *declined;
            return result;
        }
        if (best)
            result.ready = take_idle(best->index);
        if (result.ready)
            return result;
        // Who has a board may find out whether it was the manager that hangs, or the service: the supervisor
        // passes the next connection to another one.
        const bool hello_owed = !may_owe_another_hello(now);
        if (now < paused_until_)
            result.failure = pause_reason_;
        else if (hello_owed)
            result.failure = {decline_reason::manager_unresponsive, 0};
        can_connect = now >= paused_until_ && !hello_owed;
        if (!can_connect) {
            result.ready = take_any_idle(now, avoided);
            return result;
        }
        has_other = std::ranges::any_of(idle_, [](const connections& pool) { return !pool.empty(); });
        known = board_;
    }
    // With another connection in reserve, a hello isn't waited for to the last.
    const auto hello_by = has_other ? std::min(deadline, clock::now() + heartbeat_limit) : deadline;
    auto made = connect_anew(hello_by, known);
    const std::lock_guard lock(mutex_);
    if (auto* fresh = std::get_if<connection>(&made)) {
        take_board_of(**fresh);
        // To another manager than was wanted: its pool is to have no more than offers were ever under way.
        if (connections& pool = idle_[(*fresh)->manager()];
            best && best->index != (*fresh)->manager() && !pool.empty())
            pool.erase(pool.begin());
        if (!avoided.test((*fresh)->manager()) || (*fresh)->the_board() != known) {
            result.ready = std::move(*fresh);
            result.anew = true;
            return result;
        }
        // Just the one that is to be avoided.
        result.failure = {decline_reason::manager_unresponsive, 0};
        put_back_locked(std::move(*fresh));
    } else {
        result.failure = std::get<handoff_result>(made);
    }
    if (const auto now = clock::now(); now < deadline)
        result.ready = take_any_idle(now, avoided);
    return result;
}

std::optional<std::chrono::milliseconds> manager_client::queue_timeout() {
    const std::lock_guard lock(mutex_);
    const auto any = board_ ? choose_manager(*board_, clock::now()) : std::nullopt;
    if (!any)
        return std::nullopt;
    constexpr std::uint64_t longest = std::numeric_limits<std::uint32_t>::max();
    const std::uint64_t said = board_->manager(any->index).queue_timeout.load(std::memory_order_relaxed);
    return std::chrono::milliseconds(std::min(said, longest));
}

handoff_result manager_client::hand_off(offer& offered, std::span<const int> descriptors) {
    const clock::time_point deadline = clock::now() + claim_timeout_;
    manager_set tried;
    std::optional<handoff_result> first; ///< what the first manager that was asked said
    for (;;) {
        found use = find_connection(deadline, tried);
        if (!use.ready)
            return first.value_or(use.failure);
        const std::uint32_t manager = use.ready->manager();
        const shared_board the_board = use.ready->the_board();
        heartbeat_watch watch(*use.ready, tried);
        auto result = use.ready->hand_off(offered, descriptors, deadline, first ? nullptr : &watch);
        if (!result) {
            // The manager had closed this connection, and surely those that have been idle for longer.
            if (!use.anew) {
                const std::lock_guard lock(mutex_);
                if (the_board == board_)
                    idle_[manager].clear();
                continue;
            }
            result = handoff_result{decline_reason::manager_down, ECONNRESET};
        }
        put_back(std::move(use.ready));
        const auto now = clock::now();
        tried.set(manager);
        if (is_stopping(*result) && now < deadline) {
            first = first.value_or(*result);
            continue;
        }
        if (first)
            return result->claimed() ? *result : *first;
        const auto other = choose_manager(*the_board, now, tried);
        if (!is_worth_another_try(*result) || now >= deadline || !other || !other->room || !other->fresh)
            return *result;
        first = *result;
    }
}

} // namespace dlhandoff::httpd
