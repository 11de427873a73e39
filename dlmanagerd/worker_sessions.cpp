#include "dlmanagerd/worker_sessions.hpp"

#include "dlmanagerd/service_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using engine::clock;

constexpr std::chrono::milliseconds pause_length{100};
/// So that a flood of connections does not keep the downloads waiting.
constexpr int accepted_at_once = 64;
constexpr std::size_t idle_closed_at_once = 64;

file_descriptor make_reserve() noexcept {
    return file_descriptor(::eventfd(0, EFD_CLOEXEC));
}

/// Everyday reasons, of which an admin needs no word.
bool is_ordinary(refusal reason) noexcept {
    return reason == refusal::not_connected || reason == refusal::full || reason == refusal::stopping;
}

const char* advice_for(refusal reason) noexcept {
    switch (reason) {
    case refusal::descriptors_lost:
        return ". Raise limits.descriptors";
    case refusal::return_socket:
        return ". Run dlmanagerd in the group of httpd's Group, and let httpd's DefaultRuntimeDir be "
               "entered; or set "
               "DLHandoffKeepAlive Off in httpd's configuration";
    default:
        return "";
    }
}

} // namespace

worker_sessions::worker_sessions(engine::event_loop& loop, engine::engine& engine, const board& tickets,
                                 std::string name, std::unique_ptr<listening_socket> listener,
                                 std::vector<uid_t> allowed)
    : loop_(loop), tickets_(tickets), name_(std::move(name)), listener_(std::move(listener)),
      allowed_(std::move(allowed)), surroundings_{loop, engine, tickets, incoming_, *this},
      reserve_(make_reserve()) {
    if (!loop_.add(listener_->descriptor(), EPOLLIN, *this))
        throw_errno("epoll_ctl(listening socket)");
}

worker_sessions::~worker_sessions() {
    stop();
}

void worker_sessions::stop() {
    if (listener_ && !paused_until_)
        loop_.remove(listener_->descriptor(), *this);
    paused_until_.reset();
    listener_.reset();
    sessions_.clear();
    free_slots_.clear();
    tickets_.counters().connections.store(0, std::memory_order_relaxed);
}

void worker_sessions::on_events(std::uint32_t) {
    for (int i = 0; i < accepted_at_once; ++i) {
        file_descriptor accepted(
            ::accept4(listener_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (accepted) {
            admit(std::move(accepted));
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EINTR:
        case ECONNABORTED:
            continue;
        default:
            warn(no_descriptor_, loop_.now(),
                 "cannot take a connection from httpd: {}; downloads go on, and httpd serves what it can't "
                 "hand "
                 "over. At the limit of descriptors, raise limits.descriptors",
                 std::strerror(errno));
            // Most of those that wait for nothing in particular find room by the next round.
            surroundings_.engine.close_idle(idle_closed_at_once);
            turn_away_one();
            return;
        }
    }
}

void worker_sessions::turn_away_one() {
    // Without this the listener would stay readable, and the loop spin, while the worker waits for its hello.
    reserve_.reset();
    const file_descriptor unwanted(::accept4(listener_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    const int error = errno;
    if (!unwanted && error != EAGAIN && error != ECONNABORTED)
        pause();
}

void worker_sessions::pause() {
    loop_.remove(listener_->descriptor(), *this);
    paused_until_ = loop_.now() + pause_length;
}

void worker_sessions::run_due() {
    if (!reserve_)
        reserve_ = make_reserve();
    if (!paused_until_ || loop_.now() < *paused_until_)
        return;
    if (loop_.add(listener_->descriptor(), EPOLLIN, *this))
        paused_until_.reset();
    else
        paused_until_ = loop_.now() + pause_length;
}

clock::time_point worker_sessions::next_deadline() const noexcept {
    return paused_until_.value_or(clock::time_point::max());
}

void worker_sessions::admit(file_descriptor socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        throw_errno("getsockopt(SO_PEERCRED)");
    if (!may_connect(peer.uid)) {
        warn(not_allowed_, loop_.now(),
             "refused a connection from process {} of user id {}, who is not in allow_users; add the user if "
             "it is httpd's",
             peer.pid, peer.uid);
        return;
    }
    const auto slot = take_slot();
    if (!slot) {
        warn(no_slot_, loop_.now(),
             "refused a connection from httpd process {}: all {} places are taken; httpd serves what it "
             "can't hand over",
             peer.pid, tickets_.slots());
        return;
    }
    auto& session = sessions_[*slot];
    session = std::make_unique<worker_session>(surroundings_, std::move(socket), peer, *slot);
    tickets_.counters().connections.fetch_add(1, std::memory_order_relaxed);
    hello greeting;
    greeting.manager_pid = static_cast<std::uint32_t>(::getpid());
    greeting.slot = *slot;
    name_.copy(greeting.manager.data(), greeting.manager.size() - 1);
    spdlog::debug("httpd process {} (user id {}) has connected", peer.pid, peer.uid);
    if (!session->start(greeting))
        on_end(*session);
}

bool worker_sessions::may_connect(uid_t user) const {
    return user == 0 || user == ::geteuid() || std::ranges::find(allowed_, user) != allowed_.end();
}

std::optional<std::uint32_t> worker_sessions::take_slot() {
    if (!free_slots_.empty()) {
        const std::uint32_t slot = free_slots_.back();
        free_slots_.pop_back();
        return slot;
    }
    if (sessions_.size() >= tickets_.slots())
        return std::nullopt;
    sessions_.emplace_back();
    return static_cast<std::uint32_t>(sessions_.size() - 1);
}

void worker_sessions::allow(std::vector<uid_t> users) {
    allowed_ = std::move(users);
    for (const auto& session : sessions_) {
        if (session && !may_connect(session->user()))
            on_end(*session);
    }
}

void worker_sessions::on_end(worker_session& ended) {
    const std::uint32_t slot = ended.slot();
    spdlog::debug("httpd process {} has disconnected", ended.process());
    sessions_[slot].reset();
    free_slots_.push_back(slot);
    tickets_.counters().connections.fetch_sub(1, std::memory_order_relaxed);
}

void worker_sessions::on_refusal(const worker_session& by, refusal reason) {
    if (is_ordinary(reason))
        spdlog::debug("refused an offer from httpd process {}: {}", by.process(), name(reason));
    else
        warn(bad_offer_, loop_.now(),
             "refused an offer from httpd process {}: {}; httpd serves the response itself{}", by.process(),
             name(reason), advice_for(reason));
}

} // namespace dlhandoff::service
