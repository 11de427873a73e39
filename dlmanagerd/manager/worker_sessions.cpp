#include "dlmanagerd/manager/worker_sessions.hpp"

#include "dlmanagerd/service_log.hpp"
#include "shared/manager_choice.hpp"
#include "shared/trusted_user.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

/// A worker connects in order to make an offer: it has so long for the first one.
constexpr auto first_offer_patience = heartbeat_limit;

/// Everyday reasons, which need no message to an admin.
bool is_ordinary(refusal reason) noexcept {
    return reason == refusal::not_connected || reason == refusal::full || reason == refusal::stopping;
}

const char* advice_for(refusal reason) noexcept {
    switch (reason) {
    case refusal::descriptors_lost:
        return ". Raise limits.descriptors; below that limit, a security module (SELinux, AppArmor) may "
               "forbid "
               "dlmanagerd to receive httpd's sockets or files: look for denials in the kernel's or the "
               "audit "
               "log";
    case refusal::return_socket:
        return ". Run dlmanagerd in the group of httpd's Group, and let httpd's DefaultRuntimeDir be "
               "entered; or set "
               "DLHandoffKeepAlive Off in httpd's configuration";
    default:
        return "";
    }
}

} // namespace

worker_sessions::worker_sessions(engine::event_loop& loop, engine::engine& engine, const board& the_board,
                                 std::uint32_t index, std::string name, std::vector<uid_t> allowed,
                                 std::function<bool()> room)
    : loop_(loop), board_(the_board), index_(index), name_(std::move(name)), allowed_(std::move(allowed)),
      room_(std::move(room)), surroundings_{loop,      engine, the_board, the_board.manager(index).counters,
                                            incoming_, *this} {}

worker_sessions::~worker_sessions() {
    stop();
}

void worker_sessions::stop() {
    stopped_ = true;
    for (const auto& session : sessions_)
        if (session)
            session->dismiss(refusal::stopping);
    sessions_.clear();
    free_slots_.clear();
    counters().connections.store(0, std::memory_order_relaxed);
}

void worker_sessions::admit(file_descriptor socket, const ucred& peer) {
    // The supervisor has checked the user; the configuration may have been read again since.
    const bool allowed = !stopped_ && socket.valid() && is_trusted(peer.uid, allowed_);
    const auto slot = allowed ? take_slot() : std::nullopt;
    if (!slot) {
        if (allowed)
            warn(no_slot_, loop_.now(),
                 "refused a connection from httpd process {}: all {} places are taken; httpd serves what it "
                 "can't hand off",
                 peer.pid, board_.slots_each());
        if (allowed)
            turn_away(socket);
        else if (!stopped_)
            counters().connections.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    const std::uint32_t number = board_.first_slot_of(index_) + *slot;
    auto& session = sessions_[*slot];
    session = std::make_unique<worker_session>(surroundings_, std::move(socket), peer, number);
    hello greeting;
    greeting.manager_pid = static_cast<std::uint32_t>(::getpid());
    greeting.slot = number;
    name_.copy(greeting.manager.data(), greeting.manager.size() - 1);
    greeting.epoch = board_.epoch();
    greeting.index = index_;
    spdlog::debug("httpd process {} (user id {}) has connected", peer.pid, peer.uid);
    if (!session->start(greeting))
        on_end(*session);
}

void worker_sessions::turn_away(const file_descriptor& socket) {
    counters().connections.fetch_sub(1, std::memory_order_relaxed);
    counters().refusals[static_cast<std::size_t>(refusal::full)].fetch_add(1, std::memory_order_relaxed);
    if (socket.valid())
        (void)send_message(socket.get(), encode(answer{0, false, refusal::full}));
}

std::optional<std::uint32_t> worker_sessions::take_slot() {
    if (!free_slots_.empty()) {
        const std::uint32_t slot = free_slots_.back();
        free_slots_.pop_back();
        return slot;
    }
    if (sessions_.size() >= board_.slots_each())
        return std::nullopt;
    sessions_.emplace_back();
    return static_cast<std::uint32_t>(sessions_.size() - 1);
}

void worker_sessions::allow(std::vector<uid_t> users) {
    allowed_ = std::move(users);
    for (const auto& session : sessions_) {
        if (session && !is_trusted(session->user(), allowed_))
            on_end(*session);
    }
}

void worker_sessions::close_unused(std::size_t count, engine::clock::duration silent) {
    const auto latest = loop_.now() - silent;
    const auto latest_unused = loop_.now() - std::max<engine::clock::duration>(silent, first_offer_patience);
    for (; count != 0; --count) {
        worker_session* oldest = nullptr;
        for (const auto& session : sessions_)
            if (session && session->last_used() <= (session->has_made_offer() ? latest : latest_unused) &&
                (oldest == nullptr || session->last_used() < oldest->last_used()) && !session->has_input())
                oldest = session.get();
        if (oldest == nullptr)
            return;
        if (oldest->stop_listening(refusal::full))
            on_end(*oldest);
    }
}

void worker_sessions::on_end(worker_session& ended) {
    const std::uint32_t slot = ended.slot() - board_.first_slot_of(index_);
    spdlog::debug("httpd process {} has disconnected", ended.process());
    sessions_[slot].reset();
    free_slots_.push_back(slot);
    counters().connections.fetch_sub(1, std::memory_order_relaxed);
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
