#include "mod_dlhandoff/manager_connection.hpp"

#include "mod_dlhandoff/manager_user.hpp"
#include "shared/peer_user.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::httpd {
namespace {

constexpr std::size_t longest_message = std::max(hello_size, answer_size);

bool means_no_descriptors(int error) noexcept {
    // ETOOMANYREFS: more of this user's descriptors under way than RLIMIT_NOFILE (unix(7)).
    return error == EMFILE || error == ENFILE || error == ETOOMANYREFS;
}

handoff_result declined(decline why, int error = 0) noexcept {
    return {why, error};
}

handoff_result failed_call(int error) noexcept {
    return declined(means_no_descriptors(error) ? decline_reason::descriptors : decline_reason::manager_down,
                    error);
}

/// What has come is no message of this wire version.
handoff_result declined_another_version(const received_message& message) noexcept {
    return {decline_reason::wire_version, 0, version_of(message.bytes).value_or(0)};
}

} // namespace

std::variant<std::unique_ptr<manager_connection>, handoff_result>
manager_connection::connect(const std::string& path) {
    const auto address = unix_address::of(path);
    if (!address)
        return declined(decline_reason::manager_down, errno);
    file_descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
        return failed_call(errno);
    if (!address->connect(socket.get())) {
        // EAGAIN: somebody listens but has not accepted for so long that the backlog is full (connect(2)).
        if (errno == EAGAIN)
            return declined(decline_reason::manager_unresponsive, errno);
        return failed_call(errno);
    }
    const auto user = peer_user(socket.get());
    if (!user || !may_be_manager(*user, path))
        return declined(decline_reason::manager_user);
    return std::unique_ptr<manager_connection>(new manager_connection(std::move(socket)));
}

/// True if there is something to receive, false when the time is up.
bool manager_connection::wait(clock::time_point deadline) const noexcept {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::nanoseconds>(deadline - clock::now()).count();
        const long nanoseconds = std::max<long>(left, 0);
        const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
        pollfd one{socket_.get(), POLLIN, 0};
        const int ready = ::ppoll(&one, 1, &limit, nullptr);
        if (ready >= 0)
            return ready > 0;
        if (errno != EINTR)
            return false;
    }
}

receive_result manager_connection::receive() {
    auto result = receive_message(socket_.get(), longest_message, message_);
    // A reset (the manager died with an offer unread) is reported once, and before messages that have
    // arrived: what the manager has said is still there.
    if (result == receive_result::peer_gone)
        result = receive_message(socket_.get(), longest_message, message_);
    return result;
}

bool manager_connection::manager_lives() const noexcept {
    const manager_status& status = board_->manager(manager_);
    return status.pid.load(std::memory_order_relaxed) == process_ &&
           status.state.load(std::memory_order_relaxed) == manager_state::live;
}

std::optional<handoff_result> manager_connection::take_hello(const shared_board& known) {
    state_ = state::broken;
    const auto greeting = message_.truncated ? std::nullopt : decode_hello(message_.bytes);
    if (!greeting) {
        const auto instead = message_.truncated ? std::nullopt : decode_answer(message_.bytes);
        return instead && !instead->claimed ? declined(instead->reason) : declined_another_version(message_);
    }
    if (message_.descriptors_lost)
        return declined(decline_reason::descriptors, EMFILE);
    if (message_.descriptors.size() != 1)
        return declined(decline_reason::board);
    board_ = known;
    if (!known || known->epoch() != greeting->epoch) {
        auto attached = board::attach(std::move(message_.descriptors.front()));
        board_ = attached ? std::make_shared<const board>(std::move(*attached)) : nullptr;
    }
    message_.descriptors.clear();
    if (!board_ || greeting->slot >= board_->slots() || greeting->index >= board_->managers())
        return declined(decline_reason::board);
    slot_ = greeting->slot;
    manager_ = greeting->index;
    process_ = greeting->manager_pid;
    sequence_ = last_sequence(board_->slot(slot_));
    state_ = state::idle;
    return std::nullopt;
}

std::optional<handoff_result> manager_connection::await_hello(clock::time_point deadline,
                                                              const shared_board& known) {
    for (;;) {
        const bool readable = wait(deadline);
        switch (receive()) {
        case receive_result::message:
            return take_hello(known);
        case receive_result::would_block:
            if (!readable)
                return declined(decline_reason::manager_unresponsive);
            break;
        case receive_result::peer_gone:
            state_ = state::broken;
            return declined(decline_reason::manager_down, ECONNRESET);
        case receive_result::failed:
            state_ = state::broken;
            return failed_call(errno);
        }
    }
}

manager_connection::heard manager_connection::hear_answer() {
    for (;;) {
        switch (receive()) {
        case receive_result::message:
            if (const auto said = message_.truncated ? std::nullopt : decode_answer(message_.bytes)) {
                // A manager that could not read an offer as far as its number refuses it under number 0.
                const bool unnumbered = said->sequence == 0 && !said->claimed;
                if (said->sequence != sequence_ && !unnumbered)
                    break; // to an earlier offer
                return {said->claimed ? heard::what::claimed : heard::what::refused, said->reason};
            }
            return {heard::what::garbled};
        case receive_result::would_block:
            return {};
        case receive_result::peer_gone:
        case receive_result::failed:
            return {heard::what::lost};
        }
    }
}

/// Marks the slot as offered; nullopt once the connection has ended. An earlier owner of the slot that has
/// not learnt yet that it isn't its own any more may have offered there once more, in vain. This one may go
/// past that as long as its own connection is open: a manager closes it before the next owner gets the slot,
/// so that the word, read before looking, can't be the next owner's.
std::optional<std::uint64_t> manager_connection::next_ticket(ticket_slot& slot) const noexcept {
    constexpr int earlier_owners = 64; // each but once; this many only if the board isn't right
    std::uint64_t last = sequence_;
    for (int i = 0; i < earlier_owners; ++i) {
        if (const auto next = offer_next_ticket(slot, last))
            return next;
        last = last_sequence(slot);
        if (wait(clock::time_point{})) // nothing but its end can be there
            break;
    }
    return std::nullopt;
}

/// What a manager that has closed the connection has said last, if anything.
std::optional<handoff_result> manager_connection::last_word(clock::time_point deadline) {
    state_ = state::broken;
    // It is here or comes in this moment, before the connection's end.
    (void)wait(deadline);
    if (const heard last = hear_answer(); last.said == heard::what::refused)
        return declined(last.reason);
    return std::nullopt;
}

std::optional<handoff_result> manager_connection::hand_off(offer& offered, std::span<const int> descriptors,
                                                           clock::time_point deadline, watch* looking) {
    ticket_slot& slot = board_->slot(slot_);
    const auto next = next_ticket(slot);
    if (!next)
        return last_word(deadline);
    sequence_ = *next;
    offered.set_ticket({slot_, sequence_});
    switch (send_message(socket_.get(), offered.message(), descriptors)) {
    case send_result::sent:
        break;
    case send_result::peer_gone:
        return last_word(deadline);
    case send_result::would_block:
        (void)revoke_ticket(slot, sequence_);
        return declined(decline_reason::manager_unresponsive, EAGAIN);
    case send_result::failed: {
        const int error = errno;
        (void)revoke_ticket(slot, sequence_);
        return failed_call(error);
    }
    }
    state_ = state::awaiting_answer;
    return conclude(await_answer(slot, deadline, looking), slot);
}

/// The last words about the offer. Without memory to hear them they are as good as garbled.
manager_connection::heard manager_connection::await_answer(ticket_slot& slot, clock::time_point deadline,
                                                           watch* looking) noexcept try {
    heard last;
    for (bool waiting = true; waiting && last.said == heard::what::nothing;) {
        const auto until =
            looking != nullptr ? std::min(deadline, looking->next_look(clock::now())) : deadline;
        const bool readable = wait(until);
        last = hear_answer();
        if (!readable) {
            const auto now = clock::now();
            waiting = now < deadline && !(looking != nullptr && looking->gives_up(now));
        }
    }
    if (last.said == heard::what::nothing) {
        if (revoke_ticket(slot, sequence_))
            return {heard::what::timed_out};
        // Claimed in this very moment; the answer may be here as well.
        last = hear_answer();
    }
    return last;
} catch (const std::bad_alloc&) {
    return {heard::what::garbled};
}

/// Who owns the response after these last words.
handoff_result manager_connection::conclude(const heard& last, ticket_slot& slot) noexcept {
    switch (last.said) {
    case heard::what::timed_out:
        return declined(decline_reason::manager_timeout);
    case heard::what::nothing:
        break; // The slot says claimed: the manager sends when it goes on.
    case heard::what::claimed:
        state_ = state::idle;
        break;
    case heard::what::refused:
        state_ = state::idle;
        (void)revoke_ticket(slot, sequence_);
        return declined(last.reason);
    case heard::what::lost:
        // A manager answers before its first byte to the client and drops what it can't answer: nothing was
        // sent.
        state_ = state::broken;
        return declined(decline_reason::manager_down, ECONNRESET);
    case heard::what::garbled:
        state_ = state::broken;
        if (revoke_ticket(slot, sequence_))
            return declined_another_version(message_);
        break;
    }
    return {};
}

manager_connection::state manager_connection::settle(const shared_board& known) {
    if (state_ == state::awaiting_hello) {
        switch (receive()) {
        case receive_result::message:
            (void)take_hello(known);
            break;
        case receive_result::would_block:
            break;
        case receive_result::peer_gone:
        case receive_result::failed:
            state_ = state::broken;
            break;
        }
    } else if (state_ == state::awaiting_answer) {
        switch (hear_answer().said) {
        case heard::what::nothing:
        case heard::what::timed_out:
            break;
        case heard::what::claimed:
        case heard::what::refused:
            state_ = state::idle;
            break;
        case heard::what::lost:
        case heard::what::garbled:
            state_ = state::broken;
            break;
        }
    }
    return state_;
}

} // namespace dlhandoff::httpd
