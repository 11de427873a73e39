#include "dlmanagerd/supervisor/manager_process.hpp"

#include "dlmanagerd/manager/manager.hpp"
#include "dlmanagerd/service_log.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::service {
namespace {

/// Closes what the parent had open, but for the standard descriptors and these.
void close_others(std::initializer_list<int> kept) {
    std::vector<unsigned> sorted{STDERR_FILENO};
    for (const int number : kept)
        sorted.push_back(static_cast<unsigned>(number));
    std::ranges::sort(sorted);
    sorted.push_back(~0U);
    for (std::size_t i = 0; i + 1 < sorted.size(); ++i)
        if (sorted[i] + 1 < sorted[i + 1] &&
            ::close_range(sorted[i] + 1, i + 2 == sorted.size() ? ~0U : sorted[i + 1] - 1, 0) < 0)
            throw_errno("close_range");
}

/// The child's life. What it has inherited of the supervisor's objects stays untouched: it must not act on
/// the supervisor's descriptors, least of all its epoll set, which both would share.
[[noreturn]] void live_as_manager(manager_post post) noexcept {
    int status = EXIT_SUCCESS;
    try {
        start_service_log(post.name);
        close_others({post.channel.get(), post.board.descriptor()});
        ::prctl(PR_SET_NAME, ("dlmanagerd " + post.name).c_str());
        manager(std::move(post)).run();
    } catch (const std::exception& error) {
        spdlog::error("cannot go on: {}", error.what());
        status = EXIT_FAILURE;
    }
    std::exit(status);
}

} // namespace

manager_process::manager_process(engine::event_loop& loop, manager_post post, manager_rank rank,
                                 std::function<void(manager_process&, note)> on_note)
    : loop_(loop), index_(post.index), name_(post.name), status_(post.board.manager(post.index)), rank_(rank),
      on_note_(std::move(on_note)) {
    auto [ours, theirs] = make_channel();
    if (!loop_.add(ours.get(), EPOLLIN, *this))
        throw_errno("epoll_ctl(channel)");
    // The board's first words about it are written before the process is there that writes the next.
    clear(status_);
    status_.rank.store(rank, std::memory_order_relaxed);
    status_.state.store(manager_state::starting, std::memory_order_release);
    pid_ = ::fork();
    if (pid_ == 0) {
        status_.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
        post.channel = std::move(theirs);
        live_as_manager(std::move(post));
    }
    if (pid_ < 0) {
        const int error = errno;
        loop_.remove(ours.get(), *this);
        clear(status_);
        errno = error;
        throw_errno("fork");
    }
    status_.pid.store(static_cast<std::uint32_t>(pid_), std::memory_order_relaxed);
    channel_ = std::move(ours);
}

manager_process::~manager_process() {
    if (channel_)
        loop_.remove(channel_.get(), *this);
    clear(status_);
}

manager_state manager_process::state() const noexcept {
    return told_to_end_ ? manager_state::draining : status_.state.load(std::memory_order_acquire);
}

send_result manager_process::pass_on(int session, const ucred& peer) {
    if (!channel_ || told_to_end_)
        return send_result::peer_gone;
    // Counted before the manager can, so that the next connection is chosen a place for with this one in
    // mind.
    status_.counters.connections.fetch_add(1, std::memory_order_relaxed);
    // One that sleeps is about to wake: if it doesn't, that shows from now on.
    std::uint64_t asleep = manager_status::asleep;
    (void)status_.heartbeat.compare_exchange_strong(asleep, heartbeat_at(clock::now()));
    auto result = send_order(channel_.get(), {order::kind::session, peer, {}}, session);
    // More of this user's descriptors are under way than RLIMIT_NOFILE: that passes (unix(7)).
    if (result == send_result::failed && errno == ETOOMANYREFS)
        result = send_result::would_block;
    if (result != send_result::sent)
        status_.counters.connections.fetch_sub(1, std::memory_order_relaxed);
    return result;
}

bool manager_process::ask_to_report(int into) {
    return channel_ && send_order(channel_.get(), {order::kind::report, {}, {}}, into) == send_result::sent;
}

void manager_process::tell(const order& what) {
    waiting_.push_back(what);
    (void)retry();
}

void manager_process::reload() {
    if (!channel_ || told_to_end_)
        return;
    owes_reload_ = true;
    tell({order::kind::reload, {}, {}});
}

void manager_process::drain(std::chrono::milliseconds most) {
    told_to_end_ = true;
    owes_reload_ = false;
    status_.state.store(manager_state::draining, std::memory_order_release);
    tell({order::kind::drain, {}, most});
}

void manager_process::stop() {
    told_to_end_ = true;
    owes_reload_ = false;
    status_.state.store(manager_state::draining, std::memory_order_release);
    tell({order::kind::stop, {}, {}});
}

bool manager_process::retry() {
    while (channel_ && !waiting_.empty() && send_order(channel_.get(), waiting_.front()) == send_result::sent)
        waiting_.erase(waiting_.begin());
    if (!channel_)
        waiting_.clear();
    return waiting_.empty();
}

std::optional<manager_process::clock::time_point>
manager_process::idle_since(clock::time_point now) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    const manager_counters& counters = status_.counters;
    const std::uint64_t claims = counters.claims.load(relaxed);
    const bool idle = status_.load.load(relaxed) == 0 && counters.idle.load(relaxed) == 0 &&
                      std::exchange(claims_seen_, claims) == claims;
    if (!idle)
        idle_since_.reset();
    else if (!idle_since_)
        idle_since_ = now;
    return idle_since_;
}

bool manager_process::hangs(clock::time_point now) const noexcept {
    constexpr std::chrono::seconds patience{1};
    const std::uint64_t beat = status_.heartbeat.load(std::memory_order_relaxed);
    return beat < heartbeat_at(now - patience);
}

void manager_process::on_events(std::uint32_t) {
    bool gone = false;
    while (const auto said = receive_note(channel_.get(), incoming_, gone)) {
        if (*said == note::reloaded)
            owes_reload_ = false;
        on_note_(*this, *said);
    }
    if (gone) {
        // Its end itself is told by SIGCHLD.
        loop_.remove(channel_.get(), *this);
        channel_.reset();
        owes_reload_ = false;
    }
}

} // namespace dlhandoff::service
