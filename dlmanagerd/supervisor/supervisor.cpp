#include "dlmanagerd/supervisor/supervisor.hpp"

#include "dlmanagerd/descriptor_limit.hpp"
#include "dlmanagerd/manager/manager.hpp"
#include "dlmanagerd/service_log.hpp"
#include "dlmanagerd/service_transfer_log.hpp"
#include "dlmanagerd/supervisor/readiness.hpp"
#include "shared/release.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace dlhandoff::service {
namespace {

/// Workers connected to one manager at the same time. A slot that nobody has used costs no memory.
constexpr std::uint32_t slots_each = 16'384;
/// A manager that should have ended has this long to do so.
constexpr std::chrono::seconds grace{5};
/// How long a manager may take to read the configuration again before the others' answers count.
constexpr std::chrono::seconds reload_patience{5};
constexpr std::chrono::milliseconds retry_pause{20};
constexpr std::chrono::seconds hung_pause{1};

std::string show(std::chrono::milliseconds duration) {
    return fmt::format("{:g} s", static_cast<double>(duration.count()) / 1000);
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status))
        return fmt::format("was ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    return fmt::format("has exited with status {}", WEXITSTATUS(status));
}

std::uint32_t wanted_managers(const configuration& settings) {
    return settings.managers != 0 ? settings.managers : std::max(1U, std::thread::hardware_concurrency());
}

/// The same, with a number of managers at most.
configuration with_bounds(configuration settings) {
    if (settings.max_managers == 0)
        settings.max_managers = std::clamp(2 * wanted_managers(settings), 16U, most_managers);
    return settings;
}

} // namespace

supervisor::supervisor(command_line asked, configuration settings)
    : asked_(std::move(asked)), settings_(with_bounds(std::move(settings))),
      base_managers_(std::min(wanted_managers(settings_), settings_.max_managers)),
      signals_(loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD}, [this](int number) { on_signal(number); }),
      board_(board::create(slots_each, settings_.max_managers)),
      ledger_(engine::ledger::create(settings_.max_managers, engine::ledger::max_bits)),
      places_(settings_.max_managers) {
    for (std::uint32_t index = 0; index < base_managers_; ++index)
        places_[index].base = true;
    // sendfile(2) has no MSG_NOSIGNAL; a log at its size limit is a failed write, not an end. Managers
    // inherit that.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    (void)open_transfer_log(settings_);                             // rather fail now than in each manager
    if (const int error = engine::cachestat_filtered(); error != 0) // managers have the same filter
        spdlog::info("{}", engine::describe_filtered_cachestat(error));
    dispatch_.emplace(loop_, board_, settings_.listen, settings_.allow_users,
                      [this](std::uint32_t index, int session, const ucred& peer) {
                          const auto& process = places_[index].process;
                          return process ? process->pass_on(session, peer) : send_result::peer_gone;
                      });
    listen_for_admin();
}

/// A socket that was asked for must be had; without the one that is there anyhow, all else works.
void supervisor::listen_for_admin() {
    const std::string path = settings_.admin.value_or(admin_path_beside(settings_.listen));
    if (path.empty())
        return;
    try {
        admin_socket::service actions{
            .ask_managers =
                [this](const std::function<int(std::uint32_t)>& open) {
                    for (const place& one : places_)
                        if (one.process && one.process->state() != manager_state::starting)
                            if (const int report = open(one.process->index()); report >= 0)
                                (void)one.process->ask_to_report(report);
                },
            .drain =
                [this](uid_t asked_by) {
                    drain_for_ = asked_by;
                    return processes();
                }};
        admin_.emplace(loop_, board_, path, settings_.admin_users, std::move(actions),
                       admin_socket::patience{});
    } catch (const std::exception& error) {
        if (settings_.admin)
            throw;
        spdlog::warn("there is no admin socket: {}", error.what());
    }
}

void supervisor::warn_about_root() const {
    if (::geteuid() == 0)
        spdlog::warn(
            "running as root, which a manager needs for nothing: it is given every file and socket open. "
            "Better start it as a user of its own, in a group of httpd's user (the systemd unit does; "
            "else: runuser -u USER -g GROUP -- dlmanagerd ...)");
}

void supervisor::run() {
    warn_about_root();
    spdlog::info("dlmanagerd {} (wire {}, board {})", release(), wire_version, board_version);
    spdlog::info("listening at {}; managers: {}, at most {}; transfer log {}", settings_.listen,
                 base_managers_, settings_.max_managers,
                 settings_.log.transfers.empty() ? "off" : settings_.log.transfers);
    (void)set_descriptor_limit(0);
    do {
        tend();
        loop_.run_once(next_deadline());
        if (dispatch_)
            dispatch_->run_due();
        if (admin_)
            admin_->run_due();
    } while (!ending_ || processes() != 0);
    spdlog::info("stopped");
}

/// All that depends on how the managers are, looked at after whatever has happened.
void supervisor::tend() {
    orders_wait_ = false;
    for (const place& one : places_)
        if (one.process && !one.process->retry())
            orders_wait_ = true;
    conclude_reload();
    // Not while the admin's socket, which end() destroys, is at work.
    if (const auto asked_by = std::exchange(drain_for_, std::nullopt))
        end(fmt::format("user {} asks to drain", *asked_by), std::nullopt);
    if (ending_) {
        if (loop_.now() < kill_at_)
            return;
        kill_at_ = clock::time_point::max();
        for (const place& one : places_)
            if (one.process) {
                spdlog::error("{} (process {}) does not end; it is killed", one.process->name(),
                              one.process->pid());
                ::kill(one.process->pid(), SIGKILL);
            }
        return;
    }
    start_base_managers();
    start_duplicate();
    end_unused_duplicates();
    if (!announced_ && std::ranges::any_of(places_, [](const place& one) {
            return one.process && one.process->state() == manager_state::live;
        })) {
        announced_ = true;
        notify_ready();
    }
}

void supervisor::start_base_managers() {
    for (place& one : places_)
        if (one.base && !one.process && loop_.now() >= one.pause.not_before())
            (void)start(one, manager_rank::base);
}

bool supervisor::start(place& where, manager_rank rank) {
    const auto index = static_cast<std::uint32_t>(&where - places_.data());
    const std::string name = "m" + std::to_string(index + 1);
    where.pause.started(clock::now());
    try {
        where.process = std::make_unique<manager_process>(
            loop_, manager_post{index, name, {}, board_, ledger_, asked_, settings_}, rank,
            [this](manager_process&, note what) {
                if (what == note::reported && admin_)
                    admin_->look_at_reports();
            });
    } catch (const std::exception& error) {
        const auto wait = where.pause.died(clock::now());
        spdlog::error("{} can't be started: {}; tried again in {}", name, error.what(), show(wait));
        return false;
    }
    spdlog::debug("{}{} is process {}", name, rank == manager_rank::duplicate ? ", a duplicate," : "",
                  where.process->pid());
    return true;
}

/// Whether offers may soon find no manager with room.
bool supervisor::needs_duplicate(const place* without) const noexcept {
    std::uint32_t live = 0;
    std::uint32_t with_room = 0;
    bool plenty = false;
    for (const place& one : places_) {
        if (!one.process || &one == without)
            continue;
        if (one.process->state() == manager_state::starting)
            return false; // let's see
        if (one.process->state() != manager_state::live)
            continue;
        ++live;
        if (one.process->hangs(loop_.now()))
            continue; // to workers it has no room
        const room_level level = one.process->status().room.load(std::memory_order_relaxed);
        with_room += level != room_level::none ? 1 : 0;
        plenty = plenty || level == room_level::plenty;
    }
    // Base managers that have died come back by themselves.
    return live != 0 && !plenty && with_room <= 1;
}

void supervisor::start_duplicate() {
    if (!needs_duplicate())
        return;
    const auto vacant =
        std::ranges::find_if(places_, [](const place& one) { return !one.process && !one.base; });
    if (vacant == places_.end() || processes() >= settings_.max_managers) {
        warn(all_full_, loop_.now(),
             "all managers, max_managers ({}) of them, are at or near their limits of descriptors: httpd "
             "serves what they have no room for. Raise LimitNOFILE, limits.descriptors or max_managers",
             settings_.max_managers);
        return;
    }
    if (loop_.now() < vacant->pause.not_before() || !start(*vacant, manager_rank::duplicate))
        return;
    spdlog::info("{}, a duplicate, is started: the others have no room, or little", vacant->process->name());
    look_at_duplicates_ = loop_.now();
}

void supervisor::end_unused_duplicates() {
    if (loop_.now() < look_at_duplicates_)
        return;
    look_at_duplicates_ = clock::time_point::max();
    const auto next_look =
        loop_.now() + std::clamp<clock::duration>(settings_.duplicate_idle / 4, std::chrono::milliseconds(10),
                                                  std::chrono::seconds(1));
    for (place& one : places_) {
        if (!one.process || one.process->rank() != manager_rank::duplicate || one.process->was_told_to_end())
            continue;
        look_at_duplicates_ = next_look;
        const auto since = one.process->idle_since(loop_.now());
        if (!since || loop_.now() - *since < settings_.duplicate_idle || needs_duplicate(&one))
            continue;
        spdlog::info("{}, a duplicate, ends: it has had nothing to do for {}", one.process->name(),
                     show(settings_.duplicate_idle));
        one.process->drain(order::no_limit); // should an offer have come in this moment
    }
}

void supervisor::on_signal(int number) {
    switch (number) {
    case SIGCHLD:
        return reap();
    case SIGHUP:
        return reload();
    default:
        return end(::strsignal(number),
                   number == SIGTERM ? settings_.drain_timeout : std::chrono::milliseconds::zero());
    }
}

void supervisor::reap() {
    for (place& one : places_) {
        int status = 0;
        if (one.process && ::waitpid(one.process->pid(), &status, WNOHANG) == one.process->pid())
            bury(one, status);
    }
}

void supervisor::bury(place& dead, int status) {
    const manager_process& process = *dead.process;
    const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (process.was_told_to_end() && clean) {
        spdlog::debug("{} (process {}) has ended", process.name(), process.pid());
        dead.pause.forget();
    } else {
        const auto wait = dead.pause.died(clock::now());
        const manager_counters& counters = process.status().counters;
        std::string what_next = "the others go on";
        if (dead.base && !ending_)
            what_next =
                wait == wait.zero() ? "it is started again at once" : "it is started again in " + show(wait);
        spdlog::error("{} (process {}) {}; it had {} downloads and {} waiting requests, which are lost; {}",
                      process.name(), process.pid(), how_it_ended(status),
                      counters.active.load(std::memory_order_relaxed),
                      counters.queued.load(std::memory_order_relaxed), what_next);
    }
    (void)ledger_.clear(process.index(), process.pid());
    dead.process.reset();
    if (admin_)
        admin_->look_at_reports();
}

/// nullopt: no limit. Then the service manager is not told, since telling it would set one.
void supervisor::end(const std::string& why, std::optional<std::chrono::milliseconds> most) {
    const bool at_once = most == std::chrono::milliseconds::zero();
    const auto kill_at = most ? loop_.now() + *most + grace : clock::time_point::max();
    if (ending_ && !at_once && kill_at >= kill_at_)
        return;
    ending_ = true;
    kill_at_ = kill_at;
    spdlog::info("{}: no new downloads; {} under way {}", why, active(),
                 at_once ? "end now"
                 : most  ? "may go on for " + show(*most)
                         : "may go on to their ends");
    if (most)
        notify_stopping(*most);
    // First, so that a successor that finds nobody at the one finds nobody at the other.
    admin_.reset();
    dispatch_.reset();
    for (const place& one : places_)
        if (one.process && at_once)
            one.process->stop();
        else if (one.process)
            one.process->drain(most.value_or(order::no_limit));
}

void supervisor::reload() {
    if (ending_)
        return;
    notify_reloading();
    try {
        configuration fresh = with_bounds(configuration_of(asked_));
        (void)open_transfer_log(fresh);
        if (fresh.listen != settings_.listen) {
            spdlog::warn("listen: a new path takes a restart; still listening at {}", settings_.listen);
            fresh.listen = settings_.listen;
        }
        if (fresh.admin != settings_.admin)
            spdlog::warn("admin: a change takes a restart");
        if (fresh.managers != settings_.managers)
            spdlog::warn("managers: another number takes a restart; still {}", base_managers_);
        if (fresh.max_managers > places_.size())
            spdlog::warn("max_managers: more than {} take a restart", places_.size());
        const auto most = static_cast<std::uint32_t>(places_.size());
        fresh.max_managers = std::clamp(fresh.max_managers, base_managers_, most);
        fresh.managers = settings_.managers;
        fresh.admin = settings_.admin;
        settings_ = std::move(fresh);
    } catch (const std::exception& error) {
        spdlog::error("not reloaded, everything goes on as before: {}", error.what());
        return notify_ready();
    }
    set_service_log_level(settings_.log.level);
    dispatch_->allow(settings_.allow_users);
    if (admin_)
        admin_->allow(settings_.admin_users);
    reloading_until_ = loop_.now() + reload_patience;
    for (const place& one : places_)
        if (one.process)
            one.process->reload();
}

void supervisor::conclude_reload() {
    if (!reloading_until_)
        return;
    const bool owed = std::ranges::any_of(
        places_, [](const place& one) { return one.process && one.process->owes_reload(); });
    if (owed && loop_.now() < *reloading_until_)
        return;
    reloading_until_.reset();
    spdlog::info("configuration read again; transfer log {}",
                 settings_.log.transfers.empty() ? "off" : settings_.log.transfers);
    if (!ending_)
        notify_ready();
}

std::uint64_t supervisor::active() const noexcept {
    std::uint64_t sum = 0;
    for (const place& one : places_)
        if (one.process)
            sum += one.process->status().load.load(std::memory_order_relaxed);
    return sum;
}

std::uint32_t supervisor::processes() const noexcept {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(places_, [](const place& one) { return one.process != nullptr; }));
}

/// A manager that hangs sends no note: while another one is short of room, that matters.
bool supervisor::must_look_for_hung() const noexcept {
    return std::ranges::any_of(places_, [](const place& one) {
        return one.process && one.process->state() == manager_state::live &&
               one.process->status().room.load(std::memory_order_relaxed) != room_level::plenty;
    });
}

supervisor::clock::time_point supervisor::next_deadline() const noexcept {
    clock::time_point next = kill_at_;
    if (orders_wait_)
        next = std::min(next, loop_.now() + retry_pause);
    if (reloading_until_)
        next = std::min(next, *reloading_until_);
    if (ending_)
        return next;
    next = std::min({next, look_at_duplicates_, dispatch_->next_deadline()});
    if (must_look_for_hung())
        next = std::min(next, loop_.now() + hung_pause);
    if (admin_)
        next = std::min(next, admin_->next_deadline());
    for (const place& one : places_)
        if (!one.process && one.pause.not_before() > loop_.now())
            next = std::min(next, one.pause.not_before());
    return next;
}

} // namespace dlhandoff::service
