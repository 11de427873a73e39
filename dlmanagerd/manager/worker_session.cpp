#include "dlmanagerd/manager/worker_session.hpp"

#include <cerrno>
#include <cstring>
#include <exception>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <utility>
#include <variant>

namespace dlhandoff::service {
namespace {

/// Idle connections closed when descriptors of an offer were lost, so that there is room for the next.
constexpr std::size_t idle_closed_for_one = 16;

} // namespace

worker_session::worker_session(const session_surroundings& shared, file_descriptor socket, const ucred& peer,
                               std::uint32_t slot)
    : shared_(shared), socket_(std::move(socket)), user_(peer.uid), process_(peer.pid), slot_(slot),
      last_used_(shared.loop.now()) {}

worker_session::~worker_session() {
    shared_.loop.remove(socket_.get(), *this);
}

bool worker_session::start(const hello& greeting) {
    const int memory = shared_.board.descriptor();
    const send_result sent = send_message(socket_.get(), encode(greeting), {&memory, 1});
    if (sent == send_result::failed && errno == ETOOMANYREFS)
        (void)refuse(refusal::full, 0);
    return sent == send_result::sent && shared_.loop.add(socket_.get(), EPOLLIN, *this);
}

bool worker_session::has_input() const noexcept {
    pollfd one{socket_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) != 0;
}

bool worker_session::stop_listening(refusal why) noexcept {
    ::shutdown(socket_.get(), SHUT_RD);
    std::byte one{};
    const bool nothing = ::recv(socket_.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
    if (nothing && !has_made_offer_)
        (void)send({0, false, why});
    return nothing;
}

void worker_session::dismiss(refusal why) noexcept {
    if (!stop_listening(why))
        (void)send({0, false, why});
}

void worker_session::on_events(std::uint32_t) {
    received_message& incoming = shared_.incoming;
    last_used_ = shared_.loop.now();
    has_made_offer_ = true;
    bool goes_on = true;
    // One message a call: a worker has one offer under way, and none may keep the others waiting.
    switch (receive_message(socket_.get(), max_offer_size, incoming)) {
    case receive_result::would_block:
        return;
    case receive_result::peer_gone:
        goes_on = false;
        break;
    case receive_result::failed:
        spdlog::error("receiving from httpd process {} failed: {}; it is disconnected and serves itself",
                      process_, std::strerror(errno));
        goes_on = false;
        break;
    case receive_result::message:
        try {
            goes_on = take_message();
        } catch (const std::exception& error) {
            spdlog::error(
                "an offer from httpd process {} failed: {}; the process is disconnected and serves itself",
                process_, error.what());
            goes_on = false;
        }
        incoming.descriptors.clear();
        break;
    }
    if (!goes_on)
        shared_.owner.on_end(*this);
}

bool worker_session::take_message() {
    received_message& incoming = shared_.incoming;
    shared_.counters.offers.fetch_add(1, std::memory_order_relaxed);
    // 0 answers a message that can't be read as far as its sequence number: it can only mean the offer under
    // way.
    if (incoming.truncated) {
        wipe_message();
        return refuse(refusal::oversized, 0);
    }
    auto decoded = offer::decode(incoming.bytes);
    if (const auto* reason = std::get_if<refusal>(&decoded)) {
        wipe_message(); // it may have keys all the same
        return refuse(*reason, 0);
    }
    auto& offered = std::get<offer>(decoded);
    if (offered.tls() != nullptr)
        guard_keys();
    return take_offer(std::move(offered));
}

void worker_session::wipe_message() noexcept {
    ::explicit_bzero(shared_.incoming.buffer.data(), shared_.incoming.bytes.size());
}

/// The message has the keys of a TLS connection: the offer has its own copy now, and this process keeps its
/// secrets.
void worker_session::guard_keys() noexcept {
    wipe_message();
    // Not from the start: until then a user may look at the manager with the system's tools (proc(5)).
    static const int once = ::prctl(PR_SET_DUMPABLE, 0);
    (void)once;
}

bool worker_session::take_offer(offer offered) {
    manager_counters& counters = shared_.counters;
    const ticket named = offered.claim_ticket();
    if (shared_.incoming.descriptors_lost) {
        shared_.engine.close_idle(idle_closed_for_one);
        return refuse(refusal::descriptors_lost, named.sequence);
    }
    if (named.slot != slot_)
        return refuse(refusal::ticket, named.sequence);
    if (!shared_.owner.has_room())
        return refuse(refusal::full, named.sequence);

    auto prepared = shared_.engine.prepare(std::move(offered), std::move(shared_.incoming.descriptors));
    if (const auto* reason = std::get_if<refusal>(&prepared))
        return refuse(*reason, named.sequence);

    ticket_slot& slot = shared_.board.slot(slot_);
    if (!claim_ticket(slot, named.sequence)) {
        if (ticket_state_of(slot, named.sequence) != ticket_state::revoked)
            return refuse(refusal::ticket, named.sequence);
        counters.late.fetch_add(1, std::memory_order_relaxed);
        // Nobody waits for this answer, but it tells the worker that the manager is awake again.
        return send({named.sequence, false, refusal::ticket});
    }
    counters.claims.fetch_add(1, std::memory_order_relaxed);
    // The answer precedes the first byte: a worker that reads an end of file instead may serve the response.
    if (!send({named.sequence, true, {}}))
        return false;
    shared_.engine.begin(std::get<engine::engine::prepared>(std::move(prepared)));
    return true;
}

bool worker_session::refuse(refusal reason, std::uint64_t sequence) {
    const auto number = static_cast<std::size_t>(reason);
    shared_.counters.refusals[number].fetch_add(1, std::memory_order_relaxed);
    shared_.owner.on_refusal(*this, reason);
    return send({sequence, false, reason});
}

bool worker_session::send(const answer& value) const {
    return send_message(socket_.get(), encode(value)) == send_result::sent;
}

} // namespace dlhandoff::service
