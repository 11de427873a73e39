#include "engine/transfer.hpp"

#include "engine/client/client_input.hpp"
#include "engine/client/reset_verdict.hpp"
#include "engine/limits/tcp_memory.hpp"

#include <algorithm>
#include <exception>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::uint32_t first_ask_pause_ms = 10;
constexpr std::uint32_t longest_ask_pause_ms = 1000;
/// When a full socket may have no edge to come, it is tried again.
constexpr std::chrono::milliseconds full_pause{20};

std::chrono::milliseconds milliseconds_between(clock::time_point from, clock::time_point to) noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

} // namespace

transfer::transfer(const transfer_surroundings& shared, offer offered, file_descriptor client,
                   std::vector<file_reference> files, channel::pointer over)
    : shared_(shared), response_(std::move(offered), std::move(files)), client_(std::move(client)),
      channel_(std::move(over)) {}

transfer::~transfer() {
    if (state_ != state::queued)
        shared_.memory.leave();
    note_held(0);
    if (reading_ != nullptr)
        read_ahead::abandon(*reading_);
    if (client_)
        shared_.loop.remove(client_.get(), *this);
}

// Its life: claimed, perhaps queued, sent, and over.

bool transfer::watch() noexcept {
    return shared_.loop.add(client_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
}

void transfer::begin(std::uint64_t number, std::size_t limits_class) noexcept {
    number_ = number;
    class_ = static_cast<std::uint16_t>(limits_class);
    began_ = now();
    client_.make_nonblocking();
}

void transfer::wait() {
    set_deadline(began_ + own_limits().queue_timeout);
}

void transfer::start() {
    state_ = state::sending;
    shared_.memory.enter();
    started_ = progressed_ = now();
    pace_.start(started_);
    client_.set_low_water(shared_.memory.low_water());
    client_.set_user_timeout(own_limits().stall_timeout);
    client_.begin_counting();
    try {
        if (auto other = channel_->start(client_.get()))
            channel_ = std::move(other);
    } catch (const std::exception&) { // libcrypto's failure: the first turn ends it
        broken_ = true;
    }
    rates_changed();
    auto due = own_limits().stall_timeout;
    if (own_limits().min_rate != 0)
        due = std::min(due, own_limits().min_rate_window);
    set_deadline(started_ + due);
}

void transfer::turn_away() {
    response_.turn_away(own_limits().queue_timeout);
    turned_away_ = true;
    start();
}

void transfer::limits_changed(std::size_t limits_class, const limits& before) {
    class_ = static_cast<std::uint16_t>(limits_class);
    const limits& own = own_limits();
    if (state_ == state::queued) {
        if (own.queue_timeout != before.queue_timeout)
            set_deadline(began_ + own.queue_timeout);
        return;
    }
    const bool other_stall = own.stall_timeout != before.stall_timeout;
    const bool other_pace = own.min_rate != before.min_rate || own.min_rate_window != before.min_rate_window;
    if (!other_stall && !other_pace)
        return;
    if (other_stall)
        client_.set_user_timeout(own.stall_timeout);
    if (other_pace) { // what it took under another one says nothing
        note_progress();
        pace_.begin_window(last_acked_, now());
    }
    set_deadline(now()); // works out the next one
}

void transfer::on_events(std::uint32_t events) {
    input_ = input_ || (events & EPOLLIN) != 0;
    if (state_ == state::queued) {
        // Not EPOLLRDHUP: who has closed only its own direction still wants the response (RFC 9112, 9.6).
        // One that is gone looks the same until it is written to.
        if ((events & (EPOLLHUP | EPOLLERR)) != 0)
            end(outcome::client_closed);
        return;
    }
    // Who waits for a rate, or for a file, would find out only when that has come.
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (state_ == state::sending || state_ == state::reading))
        return end(outcome_at_reset());
    if (std::exchange(blocked_, false) && state_ == state::sending)
        client_.adapt_low_water(shared_.memory, now() - blocked_at_);
    if (state_ != state::reading)
        shared_.owner.on_ready(*this);
}

/// What was cold is in memory now, or can't be read.
void transfer::on_read(const read_ahead::result& what) noexcept {
    reading_ = nullptr;
    state_ = state::sending;
    // This thread does not try what a pool's could not read: a dying disk takes long to say so.
    if (what.error != 0) {
        report_unreadable(what.file, what.offset, what.error);
        return end(outcome::error);
    }
    if (std::exchange(blocked_, false))
        client_.adapt_low_water(shared_.memory, now() - blocked_at_);
    shared_.owner.on_ready(*this);
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

void transfer::on_deadline() {
    if (state_ == state::queued)
        return shared_.owner.on_queue_timeout(*this);
    if (state_ == state::lingering)
        return linger_turn();
    if (state_ == state::delivering)
        return deliver_turn();
    // A slow client may let its window fill for long without our noticing: what counts is what it
    // acknowledges.
    note_progress();
    const std::uint64_t unacknowledged = tcp_progress::unacknowledged(client_.get());
    note_held(unacknowledged);
    if (unacknowledged == 0) {
        progressed_ = now(); // nothing that the client could do
        pace_.note_held_up();
        if (blocked_)
            shared_.owner.on_ready(*this);
    }
    const limits& own = own_limits();
    const auto due = progressed_ + own.stall_timeout;
    if (due <= now() || pace_.is_too_slow(own, response_.what().speed(), last_acked_, now()))
        return end(outcome::stalled);
    set_deadline(own.min_rate == 0 ? due : std::min(due, pace_.window_end(own)));
}

void transfer::end(outcome how, connection_end with) noexcept {
    shared_.owner.on_end(*this, how, with);
}

// Sending.

void transfer::send_turn() {
    const std::uint64_t before = response_.position();
    step last = step::failed;
    try {
        if (!broken_)
            last = hear_client();
        const std::uint64_t may = last == step::sent ? may_send() : 0;
        if (may == 0 && last == step::sent)
            return pace_.note_held_up();
        const std::uint64_t until = before + may;
        while (last == step::sent && !all_sent()) {
            if (response_.position() >= until) {
                if (may == quantum) // all of it, without a wait: a fast client
                    client_.raise_low_water(shared_.memory);
                note_spent(response_.position() - before);
                return shared_.owner.on_ready(*this);
            }
            last = send_some(until - response_.position());
        }
    } catch (const std::exception&) { // libcrypto's failure, or no memory: costs this transfer, and no other
        last = step::failed;
    }
    note_spent(response_.position() - before);
    switch (last) {
    case step::sent:
        leave_rates();
        return returning().path.empty() ? start_lingering() : start_delivering();
    case step::would_block:
        return note_full();
    case step::must_read:
        return pace_.note_held_up();
    case step::client_gone:
        return end(outcome_at_reset());
    case step::file_changed:
        return end(outcome::file_changed);
    case step::failed:
        return end(outcome::error);
    }
}

/// Bytes of the response that this turn may give to the kernel; 0: none before a rate allows it, and then the
/// next turn comes.
std::uint64_t transfer::may_send() {
    if (response_.left() == 0)
        return quantum; // nothing but what the channel adds
    std::uint64_t most = quantum;
    if (response_.what().speed().rate != 0 && !pace_.is_kept()) {
        const std::uint64_t at_full_speed =
            pace_.full_speed_bytes(shared_.bursts, response_.what(), response_.position(), now());
        if (at_full_speed == 0)
            keep_own_rate();
        else
            most = std::min(most, at_full_speed);
    }
    return pace_.allowed(shared_.rates, most, response_.left(), now());
}

transfer::step transfer::send_some(std::uint64_t most) {
    const std::uint64_t room = channel_->room(client_);
    if (room == 0)
        return step::would_block;
    // What a file must have in memory: as much as the socket will take, probably, so that the end of a
    // stretch does not make two calls of one.
    response::parts parts = response_.next(std::max(std::min(most, room), channel_->begun()),
                                           2 * static_cast<std::uint64_t>(client_.low_water()), now());
    if (const auto& cold = parts.cold()) {
        reading_ = shared_.reading.start(cold->file, cold->offset, cold->length, *this);
        if (reading_ == nullptr) // no thread can be had: the loop reads it
            return step::sent;
        state_ = state::reading;
        parts.truncate(channel_->whole(parts.bytes()));
        if (parts.bytes() == 0)
            return step::must_read;
    }
    const channel::given given = channel_->give(client_.get(), parts.all(), shared_.workplace);
    shared_.bytes_sent += given.taken;
    response_.advance(given.taken);
    if (given.taken != 0 && response_.left() == 0)
        channel_->finish();
    switch (given.step) {
    case write_step::sent:
        return reading_ != nullptr ? step::must_read : step::sent;
    case write_step::would_block:
        return reading_ != nullptr ? step::must_read : step::would_block;
    case write_step::client_gone:
        return step::client_gone;
    case write_step::file_changed:
        return step::file_changed;
    case write_step::failed:
        break;
    }
    if (given.unreadable != nullptr)
        report_unreadable(*given.unreadable, given.offset, given.error);
    return step::failed;
}

void transfer::report_unreadable(const shared_file& file, std::uint64_t offset, int error) const noexcept
    try {
    if (shared_.on_file_failure)
        shared_.on_file_failure(failure_of(file, offset, error));
} catch (const std::exception&) { // no memory: costs the report
}

/// Before a turn: what the client has said.
transfer::step transfer::hear_client() {
    more_input_ = false;
    if (!input_)
        return step::sent;
    const auto after = returning().path.empty() ? connection_end::close : connection_end::keep_alive;
    const channel::heard heard = channel_->hear(client_.get(), after, shared_.workplace);
    input_ = heard.unread;
    more_input_ = heard.more;
    return heard.step == write_step::sent          ? step::sent
           : heard.step == write_step::client_gone ? step::client_gone
                                                   : step::failed;
}

/// The socket takes no more for now.
void transfer::note_full() {
    client_.set_options();
    blocked_ = true;
    blocked_at_ = now();
    note_held(tcp_progress::unacknowledged(client_.get()));
    if (!channel_->edge_will_come(client_.get()))
        set_deadline(now() + full_pause);
    if (more_input_)
        shared_.owner.on_ready(*this);
}

// After the last byte.

void transfer::start_delivering() {
    state_ = state::delivering;
    // A client that has sent its next request already waits for the answer.
    ask_pause_ms_ = input_ ? 1 : first_ask_pause_ms;
    progressed_ = now();
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
        return end(outcome_at_reset());
    note_progress();
    if (last_acked_ == written())
        return end(outcome::complete, connection_end::keep_alive);
    wait_for_acknowledgement();
}

void transfer::start_lingering() {
    state_ = state::lingering;
    ask_pause_ms_ = first_ask_pause_ms;
    progressed_ = now();
    linger_end_ = progressed_ + longest_linger;
    linger_turn();
}

/// Closing a socket with unread input resets it, and the reset may overtake the end of the response (RFC
/// 9112, 9.6): so whatever the client sends is read away until it closes too.
void transfer::linger_turn() {
    if (!shut_ && channel_->is_all_in_tcp(client_, response_.position()) && all_sent())
        shut_ = ::shutdown(client_.get(), SHUT_WR) == 0;
    const client_input last = drop_input(client_.get());
    note_progress();
    // It uploads still: a reset now could cost it the response.
    if (std::exchange(input_, last == client_input::bytes) && last_acked_ == written())
        progressed_ = std::min(now(), linger_end_ - linger);
    // A client that closes before our last bytes come answers them with a reset. recv(2) doesn't tell: once
    // the end of file has been read, it says nothing else (SOCK_DONE of the kernel).
    if (last == client_input::failed || (last == client_input::ended && is_over(client_.get())))
        return end(outcome_at_reset());
    if (last_acked_ != written())
        return wait_for_acknowledgement();
    shared_.owner.on_delivered(*this); // the next one need not wait until it closes
    if (last == client_input::ended || now() >= progressed_ + linger)
        return end(outcome::complete);
    set_deadline(progressed_ + linger);
    if (input_)
        shared_.owner.on_ready(*this); // more than one turn reads away
}

/// The kernel doesn't say when the last byte is acknowledged: ask, less and less often.
void transfer::wait_for_acknowledgement() {
    if (now() >= progressed_ + own_limits().stall_timeout)
        return end(outcome::stalled);
    client_.set_options();
    set_deadline(now() + std::chrono::milliseconds(ask_pause_ms_));
    ask_pause_ms_ = std::min(2 * ask_pause_ms_, longest_ask_pause_ms);
}

outcome transfer::outcome_at_reset() const noexcept {
    const std::uint64_t transmitted = client_.progress().transmitted(client_.get(), written());
    return outcome_of({.expected = response_.length(),
                       .transmitted = channel_->delivered(client_.get(), transmitted, response_.position()),
                       .delivered = delivered()});
}

void transfer::prepare_close(outcome how) noexcept {
    // A client that only stopped reading keeps what the kernel queued for it unless the connection is reset;
    // a response that is all with the kernel is left to be delivered.
    const auto all_in_tcp = [this] {
        return all_sent() && channel_->is_all_in_tcp(client_, response_.position());
    };
    if (how == outcome::stalled || (how != outcome::client_closed && !all_in_tcp()))
        client_.reset_on_close();
}

file_descriptor transfer::release_client() noexcept {
    note_held(0);
    return client_.release();
}

// How far its client is.

void transfer::note_progress() noexcept {
    const std::uint64_t acked = client_.progress().delivered(client_.get(), written());
    if (acked > last_acked_) {
        last_acked_ = acked;
        progressed_ = now();
    }
}

std::uint64_t transfer::delivered() const noexcept {
    const std::uint64_t position = response_.position();
    const std::uint64_t all = written();
    if (last_acked_ == all)
        return position;
    return channel_->delivered(client_.get(), client_.progress().delivered(client_.get(), all), position);
}

// What bounds it.

const limits& transfer::own_limits() const noexcept {
    return shared_.limits.classes[class_].own;
}

void transfer::rates_changed() {
    if ((state_ == state::sending || state_ == state::reading) && !turned_away_ &&
        shared_.rates.has_rates(class_))
        enter_rates();
}

void transfer::enter_rates() {
    pace_.enter(shared_.rates, *this, class_, facts().client_key, now());
}

void transfer::note_spent(std::uint64_t bytes) noexcept {
    pace_.note_spent(shared_.rates, response_.what().speed(), bytes, now());
}

void transfer::keep_own_rate() {
    const std::uint64_t rate = response_.what().speed().rate;
    if (transfer_pace::is_for_kernel(rate))
        return pace_.keep_in_kernel(rate, client_);
    enter_rates();
    pace_.keep_here(rate, shared_.rates, now());
}

void transfer::note_held(std::uint64_t bytes) noexcept {
    shared_.memory.changed(client_.note_held(bytes), bytes);
}

// What is told of it.

std::string_view transfer::state_name() const noexcept {
    switch (state_) {
    case state::queued:
        return "queued";
    case state::sending:
        return "sending";
    case state::reading:
        return "reading";
    case state::delivering:
        return "delivering";
    case state::lingering:
        return "lingering";
    }
    return "";
}

transfer_record transfer::record(outcome how) const {
    transfer_record line;
    line.time = std::chrono::system_clock::now();
    line.facts = facts();
    line.file_bytes = response_.what().file_bytes();
    line.expected = response_.length();
    line.sent = response_.position();
    line.delivered = state_ == state::queued ? 0 : delivered();
    line.queued = milliseconds_between(began_, state_ == state::queued ? now() : started_);
    line.duration = milliseconds_between(began_, now());
    const bool answered = how == outcome::complete || how == outcome::unconfirmed;
    line.how = turned_away_ && answered ? outcome::queue_timeout : how;
    line.tls = channel_->description();
    line.transfer_class = shared_.limits.classes[class_].name;
    return line;
}

transfer_listing transfer::listing() const {
    const transfer_record record_now = record(outcome::complete);
    transfer_listing line;
    line.state = state_name();
    line.client = record_now.facts.client;
    line.client_key = record_now.facts.client_key;
    line.transfer_class = record_now.transfer_class;
    line.vhost = record_now.facts.vhost;
    line.uri = record_now.facts.uri;
    line.expected = record_now.expected;
    line.sent = record_now.sent;
    line.delivered = record_now.delivered;
    line.age = record_now.duration;
    line.queued = record_now.queued;
    line.tls = record_now.tls;
    if (const auto sending = record_now.duration - record_now.queued; sending.count() > 0)
        line.bytes_per_second = static_cast<std::uint64_t>(static_cast<double>(record_now.delivered) /
                                                           std::chrono::duration<double>(sending).count());
    return line;
}

} // namespace dlhandoff::engine
