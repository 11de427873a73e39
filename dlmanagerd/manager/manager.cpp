#include "dlmanagerd/manager/manager.hpp"

#include "dlmanagerd/admin/admin_report.hpp"
#include "dlmanagerd/descriptor_limit.hpp"
#include "dlmanagerd/service_log.hpp"
#include "dlmanagerd/service_transfer_log.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <spdlog/spdlog.h>

namespace dlhandoff::service {
namespace {

/// While workers may look at its heartbeat, the loop goes round at least so often: well within
/// heartbeat_limit.
constexpr std::chrono::milliseconds longest_beat{40};
/// So that a flood of new sessions does not keep the downloads waiting.
constexpr int orders_at_once = 64;

/// Short of room, workers that have been silent for so long are disconnected; how often they are looked for.
constexpr std::chrono::seconds silence{1};
constexpr std::chrono::milliseconds thinning_pause{100};
constexpr std::chrono::milliseconds share_memory_pause{200};

constexpr auto relaxed = std::memory_order_relaxed;

/// Its own column. Nobody else's pid can be there; without it, the manager keeps limits on its own.
std::shared_ptr<engine::ledger_member> membership_of(const manager_post& post) {
    auto member = post.ledger.join(post.index);
    if (!member)
        spdlog::warn(
            "manager {} can't take part in the ledger of limits, whose column {} is held by process {}: "
            "it keeps limits alone, so that more may be sent than these say, until it is started again",
            post.name, post.index, post.ledger.holder(post.index));
    return member ? std::make_shared<engine::ledger_member>(std::move(*member)) : nullptr;
}

void say_loss(const configuration& settings, const engine::transfer_log_loss& loss) {
    spdlog::warn("transfer log {} {}", settings.log.transfers, describe(loss));
}

engine::engine_options options_of(const manager_post& post, engine::return_policy returns,
                                  engine::transfer_log::on_loss on_log_loss,
                                  engine::file_failure_hook on_file_failure) {
    return {.manager = post.name,
            .limits = post.settings.limits.table,
            .member = membership_of(post),
            .tcp_memory = post.settings.limits.tcp_memory,
            .returns = std::move(returns),
            .on_log_loss = std::move(on_log_loss),
            .on_file_failure = std::move(on_file_failure)};
}

} // namespace

manager::manager(manager_post post)
    : post_(std::move(post)), status_(post_.board.manager(post_.index)), settings_(post_.settings),
      engine_(loop_,
              options_of(
                  post_, return_policy_of(settings_),
                  [this](const engine::transfer_log_loss& loss) { say_loss(settings_, loss); },
                  [this](const engine::file_failure& failure) {
                      warn(file_failed_, loop_.now(), "{}", describe(failure));
                  }),
              open_transfer_log(settings_)),
      sessions_(loop_, engine_, post_.board, post_.index, post_.name, settings_.allow_users, [this] {
          update_room();
          return room_.level() != room_level::none;
      }) {
    if (!loop_.add(post_.channel.get(), EPOLLIN, *this))
        throw_errno("epoll_ctl(channel)");
}

manager::~manager() {
    loop_.remove(post_.channel.get(), *this);
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

/// Of the configuration's limits, those that concern others.
void manager::publish_limits() {
    room_.set_limit(set_descriptor_limit(settings_.limits.descriptors));
    status_.descriptors_limit.store(room_.limit(), relaxed);
    const auto patience = settings_.limits.table.all.queue_timeout;
    status_.queue_timeout.store(static_cast<std::uint64_t>(patience.count()), relaxed);
    // Downloads come first.
    engine_.set_max_idle(static_cast<std::size_t>(room_.limit() / 2));
}

void manager::count_fixed_descriptors() {
    // What is open for a moment now and then: a connection to httpd's return socket, a file that is read.
    constexpr std::uint64_t passing = 2;
    constexpr std::uint64_t usual = 16;
    const std::uint64_t open = count_descriptors();
    const std::uint64_t counted = sessions_.size() + engine_.descriptors_used();
    fixed_descriptors_ = open > counted ? open - counted + passing : usual;
}

void manager::run() {
    publish_limits();
    count_fixed_descriptors();
    publish();
    status_.heartbeat.store(heartbeat_at(engine::clock::now()), relaxed);
    status_.state.store(manager_state::live, std::memory_order_release);
    spdlog::info("takes downloads; up to {} descriptors", room_.limit());
    tell_supervisor(note::live);
    while (!finished()) {
        if (may_sleep())
            status_.heartbeat.store(manager_status::asleep, relaxed);
        loop_.run_once(next_deadline());
        status_.heartbeat.store(heartbeat_at(loop_.now()), relaxed);
        engine_.run_turns();
        make_room();
        publish();
        go_on_with_report();
    }
    if (engine_.active() != 0)
        spdlog::warn("ending {} downloads that are under way; their clients see their connections end",
                     engine_.active());
    engine_.end_all(engine::outcome::shutdown);
    publish();
}

void manager::go_on_with_report() {
    if (!report_ || !report_->go_on())
        return;
    report_.reset();
    tell_supervisor(note::reported);
}

/// Workers that see no room don't connect: they must be able to tell a manager that is full from a dead one.
bool manager::may_sleep() const noexcept {
    return sessions_.size() == 0 && room_.level() != room_level::none;
}

engine::clock::time_point manager::next_deadline() const noexcept {
    if (report_)
        return {};
    const auto beat = may_sleep() ? engine::clock::time_point::max() : loop_.now() + longest_beat;
    return std::min({engine_.next_deadline(), beat, drain_deadline_});
}

bool manager::finished() const noexcept {
    return draining_ && (engine_.active() + engine_.idle() == 0 || loop_.now() >= drain_deadline_);
}

void manager::publish() {
    update_room();
    share_memory();
    manager_counters& counters = status_.counters;
    counters.active.store(engine_.active() - engine_.queued(), relaxed);
    counters.queued.store(engine_.queued(), relaxed);
    counters.bytes.store(engine_.bytes_sent(), relaxed);
    throughput_.record(loop_.now(), engine_.bytes_sent());
    counters.tcp_memory.store(engine_.memory().used(), relaxed);
    counters.idle.store(engine_.idle(), relaxed);
    status_.load.store(engine_.active(), relaxed);
    status_.descriptors_used.store(room_.used(), relaxed);
}

/// Managers come and go seldom: it is looked at now and then.
void manager::share_memory() {
    if (loop_.now() < share_memory_at_)
        return;
    share_memory_at_ = loop_.now() + share_memory_pause;
    std::size_t managers = 0;
    for (std::uint32_t index = 0; index < post_.board.managers(); ++index)
        managers += post_.board.manager(index).state.load(relaxed) != manager_state::vacant ? 1U : 0U;
    engine_.share_memory_with(std::max<std::size_t>(managers, 1));
}

void manager::update_room() {
    const std::size_t sessions = sessions_.size();
    if (!room_.update(fixed_descriptors_ + sessions + engine_.descriptors_used(), sessions))
        return;
    status_.room.store(room_.level(), relaxed);
    tell_supervisor(note::room);
}

/// Closes what only waits, before the reserve is used up: connections whose clients may send another request,
/// and those of silent workers. These must not keep it short of room alone: nothing would ever end that, nor
/// a duplicate that has come because of it.
void manager::make_room() {
    update_room();
    if (room_.level() == room_level::plenty)
        return;
    engine_.close_idle(static_cast<std::size_t>(room_.missing_for(room_level::low)));
    if (loop_.now() >= next_thinning_) {
        next_thinning_ = loop_.now() + thinning_pause;
        sessions_.close_unused(static_cast<std::size_t>(room_.missing_for(room_level::plenty)), silence);
    }
    update_room();
}

void manager::admit(received_order session) {
    update_room();
    if (const std::uint64_t surplus = room_.surplus_sessions(); surplus != 0) {
        sessions_.close_unused(static_cast<std::size_t>(surplus), {});
        update_room();
    }
    if (room_.surplus_sessions() == 0)
        sessions_.admit(std::move(session.descriptor), session.what.peer);
    else
        sessions_.turn_away(session.descriptor);
    update_room();
}

void manager::tell_supervisor(note what) {
    // One that is full has notes enough to wake the supervisor; one that is broken is heard of in
    // on_events().
    if (post_.channel)
        (void)send_note(post_.channel.get(), what);
}

void manager::on_events(std::uint32_t) {
    bool gone = false;
    for (int i = 0; i < orders_at_once && !gone; ++i) {
        auto said = receive_order(post_.channel.get(), incoming_, gone);
        if (!said)
            break;
        obey(std::move(*said));
    }
    if (gone)
        go_on_alone();
}

void manager::obey(received_order said) {
    switch (said.what.what) {
    case order::kind::session:
        admit(std::move(said));
        break;
    case order::kind::reload:
        reload();
        tell_supervisor(note::reloaded);
        break;
    case order::kind::drain:
        drain(said.what.most == order::no_limit ? std::nullopt : std::optional(said.what.most));
        break;
    case order::kind::stop:
        stop();
        break;
    case order::kind::report:
        publish();
        report_.emplace(std::move(said.descriptor),
                        admin_report::subject{engine_, status_, post_.name,
                                              throughput_.per_second(engine::clock::now())});
        go_on_with_report();
        break;
    }
}

/// nullopt: for as long as it takes.
void manager::drain(std::optional<std::chrono::milliseconds> most) {
    status_.state.store(manager_state::draining, std::memory_order_release);
    if (!draining_) {
        draining_ = true;
        engine_.stop_accepting();
        sessions_.stop();
    }
    if (most)
        drain_deadline_ = std::min(drain_deadline_, loop_.now() + *most);
}

void manager::stop() {
    drain(std::chrono::milliseconds::zero());
}

void manager::go_on_alone() {
    loop_.remove(post_.channel.get(), *this);
    post_.channel.reset();
    spdlog::warn("the supervisor is gone: no new downloads; {} under way may go on to their ends",
                 engine_.active());
    // Those that came until now were the supervisor's to mind. Ignoring a signal drops it (signal(7)).
    for (const int number : {SIGTERM, SIGINT, SIGQUIT}) {
        std::signal(number, SIG_IGN);
        std::signal(number, SIG_DFL);
    }
    signals_.emplace(loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGQUIT}, [this](int number) {
        spdlog::info("{}: {} downloads under way", ::strsignal(number), engine_.active());
        if (number == SIGTERM)
            drain(settings_.drain_timeout);
        else
            stop();
    });
    drain(std::nullopt);
}

void manager::reload() {
    if (draining_)
        return;
    try {
        configuration fresh = configuration_of(post_.asked);
        engine_.set_log(open_transfer_log(fresh));
        settings_ = std::move(fresh);
        set_service_log_level(settings_.log.level);
        engine_.set_limits(settings_.limits.table, settings_.limits.tcp_memory);
        engine_.set_return_policy(return_policy_of(settings_));
        sessions_.allow(settings_.allow_users);
        publish_limits();
        count_fixed_descriptors();
    } catch (const std::exception& error) {
        spdlog::error("not reloaded, this manager goes on as before: {}", error.what());
    }
}

} // namespace dlhandoff::service
