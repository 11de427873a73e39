#include "engine/transfer.hpp"

#include "engine/client/client_input.hpp"
#include "engine/client/socket_options.hpp"
#include "engine/client/write_error.hpp"
#include "engine/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::uint32_t first_ask_pause_ms = 10;
constexpr std::uint32_t longest_ask_pause_ms = 1000;

} // namespace

transfer::transfer(engine& owner, offer offered, file_descriptor client, std::vector<file_reference> files,
                   std::unique_ptr<tls_channel> tls)
    : engine_(owner), offer_(std::move(offered)), files_(std::move(files)), total_(offer_.response_bytes()),
      client_(std::move(client)), tls_(std::move(tls)) {}

transfer::~transfer() {
    if (state_ != state::queued)
        engine_.tcp_memory_.leave();
    note_kernel_holds(0);
    if (reading_ != nullptr)
        read_ahead::abandon(*reading_);
    if (client_)
        engine_.loop_.remove(client_.get(), *this);
}

bool transfer::watch() noexcept {
    return engine_.loop_.add(client_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
}

void transfer::on_events(std::uint32_t events) {
    input_ = input_ || (events & EPOLLIN) != 0;
    if (state_ == state::queued) {
        if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            engine_.finish(*this, outcome::client_closed);
        return;
    }
    // Who waits for a rate, or for a file, would find out only when that has come.
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (state_ == state::sending || state_ == state::reading))
        return engine_.finish(*this, outcome_at_reset());
    // 0 is the read-ahead's: what was cold is in memory now, or never will be.
    if (events == 0) {
        reading_ = nullptr;
        state_ = state::sending;
    }
    if (std::exchange(blocked_, false) && state_ == state::sending)
        adapt_low_water();
    if (state_ != state::reading)
        engine_.make_ready(*this);
}

void transfer::turn() {
    switch (state_) {
    case state::sending:
        return send_turn();
    case state::queued:
    case state::reading:
        return;
    case state::delivering:
        return deliver_turn();
    case state::lingering:
        return linger_turn();
    }
}

void transfer::send_turn() {
    const std::uint64_t before = cursor_.position();
    step last = step::failed;
    try {
        if (!broken_)
            last = tls_ ? hear_client() : step::sent;
        const std::uint64_t may = last == step::sent ? may_send() : 0;
        if (may == 0 && last == step::sent) {
            held_up_ = true;
            return;
        }
        const std::uint64_t until = before + may;
        while (last == step::sent && !all_sent()) {
            if (cursor_.position() >= until) {
                if (may == quantum) // all of it, without a wait: a fast client
                    raise_low_water();
                note_spent(cursor_.position() - before);
                return engine_.make_ready(*this);
            }
            last = send_some(until - cursor_.position());
        }
    } catch (const std::exception&) { // libcrypto's failure, or no memory: costs this transfer, and no other
        last = step::failed;
    }
    note_spent(cursor_.position() - before);
    switch (last) {
    case step::sent:
        leave_rates();
        return returning().path.empty() ? start_lingering() : start_delivering();
    case step::would_block:
        set_options();
        blocked_ = true;
        blocked_at_ = engine_.loop_.now();
        note_kernel_holds(tcp_progress::unacknowledged(client_.get()));
        if (tls_ && tls_->in_kernel())
            wait_behind_kernel_tls();
        if (tls_ && input_)
            engine_.make_ready(*this); // the client has said more than one turn listens to
        return;
    case step::must_read:
        held_up_ = true;
        return;
    case step::client_gone:
        return engine_.finish(*this, outcome_at_reset());
    case step::file_changed:
        return engine_.finish(*this, outcome::file_changed);
    case step::failed:
        return engine_.finish(*this, outcome::error);
    }
}

transfer::step transfer::send_some(std::uint64_t most) {
    if (tls_ && !tls_->in_kernel())
        return send_sealed(most);
    if (tls_) {
        const step control = send_control();
        if (control != step::sent || cursor_.position() == total_)
            return control;
    }
    const std::uint64_t room = plain_room();
    if (room == 0)
        return step::would_block;
    const plan_piece& piece = offer_.pieces()[cursor_.piece()];
    const std::uint64_t within = cursor_.within();
    most = std::min({most, room, piece.length - within});
    return piece.from == plan_piece::source::memory ? send_memory(piece, within, most)
                                                    : send_file(piece, within, most);
}

transfer::step transfer::send_memory(const plan_piece& piece, std::uint64_t within, std::uint64_t most) {
    const bool last = cursor_.piece() + 1 == offer_.pieces().size();
    for (;;) {
        const ssize_t taken = ::send(client_.get(), offer_.memory().data() + piece.offset + within, most,
                                     MSG_NOSIGNAL | MSG_DONTWAIT | (last ? 0 : MSG_MORE));
        if (taken > 0) {
            advance(static_cast<std::uint64_t>(taken));
            return step::sent;
        }
        if (taken < 0 && errno == EINTR)
            continue;
        switch (classify_write_error(errno)) {
        case write_error::again:
            return step::would_block;
        case write_error::client_gone:
            return step::client_gone;
        case write_error::other:
            return step::failed;
        }
    }
}

bool transfer::make_warm(const response_cursor& at, std::uint64_t needed) {
    const plan_piece& piece = offer_.pieces()[at.piece()];
    const std::uint64_t offset = piece.offset + at.within();
    // Pieces before the one asked about last were in memory to their ends.
    if (at.piece() < warm_piece_ || (at.piece() == warm_piece_ && offset + needed <= warm_until_))
        return true;
    const file_reference& file = files_[piece.file];
    const std::uint64_t length = std::min(stretch, piece.length - at.within());
    warm_piece_ = static_cast<std::uint32_t>(at.piece());
    warm_until_ = offset + length;
    if (file->residency().cached(file->descriptor(), offset, length, engine_.loop_.now()))
        return true;
    reading_ = engine_.read_ahead_.start(file, offset, length, *this);
    if (reading_ == nullptr)
        return true;
    state_ = state::reading;
    return false;
}

transfer::step transfer::send_file(const plan_piece& piece, std::uint64_t within, std::uint64_t most) {
    const file_reference& file = files_[piece.file];
    const std::uint64_t offset = piece.offset + within;
    // As much as the socket will take, probably: so the end of a stretch does not make two calls of one.
    if (!make_warm(cursor_, std::min(most, 2 * static_cast<std::uint64_t>(low_water_))))
        return step::must_read;
    if (!file->unchanged())
        return step::file_changed;
    auto at = static_cast<off_t>(offset);
    ssize_t taken;
    do {
        taken = ::sendfile(client_.get(), file->descriptor(), &at, std::min(most, warm_until_ - offset));
    } while (taken < 0 && errno == EINTR);
    if (taken > 0) {
        advance(static_cast<std::uint64_t>(taken));
        return step::sent;
    }
    if (taken == 0)
        return step::file_changed; // it was as long as the plan needs: now it ends here
    switch (classify_write_error(errno)) {
    case write_error::again:
        return step::would_block;
    case write_error::client_gone:
        return step::client_gone;
    case write_error::other:
        break;
    }
    return step::failed;
}

void transfer::advance(std::uint64_t bytes) noexcept {
    engine_.bytes_sent_ += bytes;
    cursor_.advance(offer_.pieces(), bytes);
}

void transfer::note_progress() noexcept {
    const std::uint64_t acked = progress_.delivered(client_.get(), written());
    if (acked > last_acked_) {
        last_acked_ = acked;
        progressed_ = engine_.loop_.now();
    }
}

std::uint64_t transfer::delivered() const noexcept {
    if (!tls_ && last_acked_ == cursor_.position())
        return last_acked_;
    const std::uint64_t acked = progress_.delivered(client_.get(), written());
    return tls_ ? tls_->plaintext_of(acked, written(), cursor_.position()) : acked;
}

void transfer::on_deadline() {
    if (state_ == state::queued)
        return engine_.turn_away(*this);
    if (state_ == state::lingering)
        return linger_turn();
    if (state_ == state::delivering)
        return deliver_turn();
    // A slow client may let its window fill for long without our noticing: what counts is what it
    // acknowledges.
    note_progress();
    const auto now = engine_.loop_.now();
    const std::uint64_t unacknowledged = tcp_progress::unacknowledged(client_.get());
    note_kernel_holds(unacknowledged);
    if (unacknowledged == 0) {
        progressed_ = now; // nothing that the client could do
        held_up_ = true;
        if (blocked_)
            engine_.make_ready(*this);
    }
    const auto due = progressed_ + own_limits().stall_timeout;
    if (due <= now || is_too_slow(now))
        return engine_.finish(*this, outcome::stalled);
    engine_.deadlines_.set(*this, own_limits().min_rate == 0
                                      ? due
                                      : std::min(due, window_began_ + own_limits().min_rate_window));
}

void transfer::start_delivering() {
    state_ = state::delivering;
    // A client that has sent its next request already waits for the answer.
    ask_pause_ms_ = input_ ? 1 : first_ask_pause_ms;
    progressed_ = engine_.loop_.now();
    deliver_turn();
}

/// The response is all with the kernel, and the connection goes on when the client has it. Not before, even
/// if its next request is here: an httpd that can't take the connection then would cut the response's end
/// off.
void transfer::deliver_turn() {
    const client_input last = std::exchange(input_, false) ? peek_input(client_.get()) : client_input::none;
    if (last == client_input::ended)
        return start_lingering();
    if (last == client_input::failed)
        return engine_.finish(*this, outcome_at_reset());
    note_progress();
    if (last_acked_ == written())
        return engine_.finish(*this, outcome::complete, engine::connection_end::keep_alive);
    wait_for_acknowledgement();
}

void transfer::start_lingering() {
    state_ = state::lingering;
    ask_pause_ms_ = first_ask_pause_ms;
    progressed_ = engine_.loop_.now();
    linger_turn();
}

/// Browsers close when they have the whole response: that they have no close_notify then doesn't matter.
outcome transfer::outcome_at_reset() const noexcept {
    return delivered() == total_ ? outcome::complete : outcome::client_closed;
}

/// Closing a socket with unread input resets it, and the reset may overtake the end of the response (RFC
/// 9112, 9.6): so whatever the client sends is read away until it closes too.
void transfer::linger_turn() {
    if (!shut_ && all_in_tcp())
        shut_ = ::shutdown(client_.get(), SHUT_WR) == 0;
    const client_input last = drop_input(client_.get());
    note_progress();
    // A client that closes before our last bytes come answers them with a reset. recv(2) doesn't tell: once
    // the end of file has been read, it says nothing else (SOCK_DONE of the kernel).
    if (last == client_input::failed || (last == client_input::ended && is_over(client_.get())))
        return engine_.finish(*this, outcome_at_reset());
    if (last_acked_ != written())
        return wait_for_acknowledgement();
    engine_.admission_.leave(*this); // the client has all: the next one need not wait until it closes
    if (last == client_input::ended || engine_.loop_.now() >= progressed_ + linger)
        return engine_.finish(*this, outcome::complete);
    engine_.deadlines_.set(*this, progressed_ + linger);
}

/// The kernel doesn't say when the last byte is acknowledged: ask, less and less often.
void transfer::wait_for_acknowledgement() {
    const auto now = engine_.loop_.now();
    if (now >= progressed_ + own_limits().stall_timeout)
        return engine_.finish(*this, outcome::stalled);
    set_options();
    engine_.deadlines_.set(*this, now + std::chrono::milliseconds(ask_pause_ms_));
    ask_pause_ms_ = std::min(2 * ask_pause_ms_, longest_ask_pause_ms);
}

file_descriptor transfer::release_client() noexcept {
    note_kernel_holds(0);
    if (options_set_) { // the system's own again (tcp(7))
        set_low_water(0);
        set_user_timeout(client_.get(), std::chrono::milliseconds(0));
    }
    if (paced_)
        set_pacing_rate(client_.get(), unpaced);
    return std::move(client_);
}

void transfer::reset_on_close() noexcept {
    const struct ::linger option { 1, 0 };
    ::setsockopt(client_.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

transfer_record transfer::record(outcome how) const {
    transfer_record line;
    line.time = std::chrono::system_clock::now();
    line.facts = offer_.facts();
    line.file_bytes = offer_.file_bytes();
    line.expected = total_;
    line.sent = cursor_.position();
    line.delivered = state_ == state::queued ? 0 : delivered();
    const auto now = engine_.loop_.now();
    const auto turn = state_ == state::queued ? now : started_;
    line.queued = std::chrono::duration_cast<std::chrono::milliseconds>(turn - began_);
    line.duration = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
    line.how = turned_away_ && how == outcome::complete ? outcome::queue_timeout : how;
    if (tls_)
        line.tls = tls_->describe();
    line.transfer_class = engine_.options_.limits.classes[class_].name;
    return line;
}

} // namespace dlhandoff::engine
