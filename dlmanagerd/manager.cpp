#include "dlmanagerd/manager.hpp"

#include "dlmanagerd/descriptor_limit.hpp"
#include "dlmanagerd/readiness.hpp"
#include "dlmanagerd/service_log.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

/// Workers connected at the same time. A slot that nobody has used costs no memory.
constexpr std::uint32_t board_slots = 16'384;
/// One manager a service; its name tells its lines in a transfer log from others'.
constexpr const char* manager_name = "m1";

engine::transfer_log open_transfer_log(const configuration& settings) {
    return settings.log.transfers.empty() ? engine::transfer_log()
                                          : engine::transfer_log::open(settings.log.transfers);
}

engine::engine_options options_of(const configuration& settings, engine::return_policy back) {
    return {manager_name, settings.limits.stall_timeout, settings.limits.transfers, std::move(back)};
}

std::string show(std::chrono::milliseconds duration) {
    return fmt::format("{:g} s", static_cast<double>(duration.count()) / 1000);
}

} // namespace

manager::manager(command_line asked, configuration settings)
    : asked_(std::move(asked)), settings_(std::move(settings)),
      signals_(loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP}, [this](int number) { on_signal(number); }),
      board_(board::create(board_slots)),
      engine_(loop_, options_of(settings_, return_policy_of(settings_)), open_transfer_log(settings_)),
      sessions_(loop_, engine_, board_, manager_name, std::make_unique<listening_socket>(settings_.listen),
                settings_.allow_users) {
    board_.counters().pid.store(static_cast<std::uint64_t>(::getpid()), std::memory_order_relaxed);
    // sendfile(2) has no MSG_NOSIGNAL; a log at its size limit is a failed write, not an end.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

engine::return_policy manager::return_policy_of(const configuration& settings) {
    return {settings.allow_users, [this](const engine::return_failure& failure) {
                if (failure.why == engine::return_failure::reason::not_there)
                    spdlog::debug("{}", describe(failure));
                else
                    warn(return_failed_, loop_.now(), "{}. httpd's user must be in allow_users",
                         describe(failure));
            }};
}

std::uint64_t manager::apply_descriptor_limit() {
    const std::uint64_t limit = set_descriptor_limit(settings_.limits.descriptors);
    // Downloads come first.
    engine_.set_max_idle(limit / 2);
    return limit;
}

void manager::run() {
    if (::geteuid() == 0)
        spdlog::warn(
            "running as root, which a manager needs for nothing: it is given every file and socket open. "
            "Better start it as a user of its own, in a group of httpd's user (the systemd unit does; "
            "else: runuser -u USER -g GROUP -- dlmanagerd ...)");
    spdlog::info("listening at {}; up to {} descriptors; transfer log {}", settings_.listen,
                 apply_descriptor_limit(), settings_.log.transfers.empty() ? "off" : settings_.log.transfers);
    notify_ready();
    while (!finished()) {
        loop_.run_once(next_deadline());
        sessions_.run_due();
        engine_.run_turns();
        board_.counters().active.store(engine_.active(), std::memory_order_relaxed);
    }
    if (engine_.active() != 0)
        spdlog::warn("ending {} downloads that are under way; their clients see their connections end",
                     engine_.active());
    engine_.end_all(engine::outcome::shutdown);
    board_.counters().active.store(0, std::memory_order_relaxed);
    spdlog::info("stopped");
}

engine::clock::time_point manager::next_deadline() const noexcept {
    return std::min({engine_.next_deadline(), sessions_.next_deadline(), drain_deadline_});
}

bool manager::finished() const noexcept {
    return draining_ && (engine_.active() + engine_.idle() == 0 || loop_.now() >= drain_deadline_);
}

void manager::on_signal(int number) {
    if (number == SIGHUP)
        reload();
    else
        drain(number);
}

void manager::drain(int number) {
    const bool at_once = number != SIGTERM;
    const auto most = at_once ? std::chrono::milliseconds::zero() : settings_.drain_timeout;
    if (draining_ && !at_once)
        return;
    draining_ = true;
    drain_deadline_ = loop_.now() + most;
    spdlog::info("{}: no new downloads; {} under way {}", ::strsignal(number), engine_.active(),
                 at_once ? "end now" : "may go on for " + show(most));
    notify_stopping(most);
    engine_.stop_accepting();
    sessions_.stop();
}

void manager::reload() {
    if (draining_)
        return;
    notify_reloading();
    try {
        configuration fresh = configuration_of(asked_);
        if (fresh.listen != settings_.listen) {
            spdlog::warn("listen: a new path takes a restart; still listening at {}", settings_.listen);
            fresh.listen = settings_.listen;
        }
        engine_.set_log(open_transfer_log(fresh));
        settings_ = std::move(fresh);
        set_service_log_level(settings_.log.level);
        engine_.set_stall_timeout(settings_.limits.stall_timeout);
        engine_.set_max_transfers(settings_.limits.transfers);
        engine_.set_return_policy(return_policy_of(settings_));
        sessions_.allow(settings_.allow_users);
        spdlog::info("configuration read again; up to {} descriptors; transfer log {}",
                     apply_descriptor_limit(),
                     settings_.log.transfers.empty() ? "off" : settings_.log.transfers);
    } catch (const std::exception& error) {
        spdlog::error("not reloaded, everything goes on as before: {}", error.what());
    }
    notify_ready();
}

} // namespace dlhandoff::service
