// What bounds a transfer: its turn, or the response that says that there is none; its pace; the kernel's
// memory; and how slow its client may be.

#include "engine/client/socket_options.hpp"
#include "engine/engine.hpp"
#include "engine/transfer.hpp"
#include "shared/busy_response.hpp"

#include <algorithm>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::uint64_t least_kernel_pace = 256 * 1024;

/// The head of the response that an offer holds: it is the first thing in its memory.
std::string_view head_of(const offer& offered) noexcept {
    const plan_piece& first = offered.pieces().front();
    if (first.from != plan_piece::source::memory)
        return {};
    const auto bytes = offered.memory().subspan(first.offset);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

const limits& transfer::own_limits() const noexcept {
    return engine_.options_.limits.classes[class_].own;
}

void transfer::begin(std::uint64_t number, std::size_t limits_class) noexcept {
    number_ = number;
    class_ = static_cast<std::uint16_t>(limits_class);
    began_ = engine_.loop_.now();
    // O_NONBLOCK belongs to the open file description, which httpd has shared with us: usually set already.
    const int client = client_.get();
    if (const int flags = ::fcntl(client, F_GETFL); flags >= 0 && (flags & O_NONBLOCK) == 0)
        ::fcntl(client, F_SETFL, flags | O_NONBLOCK);
}

void transfer::wait() {
    engine_.deadlines_.set(*this, began_ + own_limits().queue_timeout);
}

void transfer::start() {
    state_ = state::sending;
    engine_.tcp_memory_.enter();
    started_ = progressed_ = window_began_ = engine_.loop_.now();
    set_low_water(engine_.tcp_memory_.low_water());
    progress_ = tcp_progress(client_.get());
    try {
        if (tls_)
            tls_->start_kernel(client_.get());
    } catch (const std::exception&) { // libcrypto's failure: the first turn ends it
        broken_ = true;
    }
    rates_changed();
    auto due = own_limits().stall_timeout;
    if (own_limits().min_rate != 0)
        due = std::min(due, own_limits().min_rate_window);
    engine_.deadlines_.set(*this, started_ + due);
}

void transfer::limits_changed(std::size_t limits_class, const limits& before) {
    class_ = static_cast<std::uint16_t>(limits_class);
    const limits& own = own_limits();
    if (state_ == state::queued) {
        if (own.queue_timeout != before.queue_timeout)
            engine_.deadlines_.set(*this, began_ + own.queue_timeout);
        return;
    }
    const bool other_stall = own.stall_timeout != before.stall_timeout;
    const bool other_pace = own.min_rate != before.min_rate || own.min_rate_window != before.min_rate_window;
    if (!other_stall && !other_pace)
        return;
    if (other_stall && options_set_)
        set_user_timeout(client_.get(), own.stall_timeout);
    if (other_pace) { // what it took under another one says nothing
        note_progress();
        window_began_ = engine_.loop_.now();
        window_acked_ = last_acked_;
        held_up_ = false;
    }
    engine_.deadlines_.set(*this, engine_.loop_.now()); // works out the next one
}

void transfer::turn_away() {
    const std::string response =
        busy_response(head_of(offer_), std::chrono::system_clock::now(), own_limits().queue_timeout);
    request_facts facts = offer_.facts();
    facts.status = 503;
    const plan_piece whole{plan_piece::source::memory, 0, 0, response.size()};
    auto made =
        offer::make(facts, {}, {&whole, 1}, std::as_bytes(std::span(response)), nullptr, offer_.returning());
    offer_ =
        std::get<offer>(std::move(made)); // it is shorter than what it replaces, and so within all bounds
    files_.clear();
    total_ = offer_.response_bytes();
    turned_away_ = true;
    start();
}

/// From `after` on. The kernel paces segments, of which the smallest rates would need parts: these are kept
/// here.
void transfer::keep_pace() {
    const std::uint64_t rate = offer_.speed().rate;
    if (rate >= least_kernel_pace) {
        set_pacing_rate(client_.get(), rate);
    } else {
        enter_rates();
        engine_.bandwidth_.set_own_rate(*rates_, rate, engine_.loop_.now());
    }
    paced_ = true;
}

void transfer::rates_changed() {
    if ((state_ == state::sending || state_ == state::reading) && !turned_away_ &&
        engine_.bandwidth_.has_rates(class_))
        enter_rates();
}

void transfer::enter_rates() {
    if (rates_)
        return;
    auto made = std::make_unique<rate_entry>(*this);
    engine_.bandwidth_.enter(*made, class_, offer_.facts().client_key, 0, engine_.loop_.now());
    rates_ = std::move(made);
}

void transfer::leave_rates() noexcept {
    if (rates_)
        engine_.bandwidth_.leave(*rates_);
}

void transfer::note_spent(std::uint64_t bytes) noexcept {
    if (rates_)
        engine_.bandwidth_.spent(*rates_, bytes);
}

/// Bytes of the response that this turn may give to the kernel; 0: none before a rate allows it, and then the
/// next turn comes.
std::uint64_t transfer::may_send() {
    const std::uint64_t position = cursor_.position();
    if (position == total_)
        return quantum; // nothing but what TLS adds
    std::uint64_t most = quantum;
    if (const pace speed = offer_.speed(); speed.rate != 0 && !paced_) {
        if (position >= speed.after)
            keep_pace();
        else
            most = std::min(most, speed.after - position);
    }
    return rates_ ? std::min(most, engine_.bandwidth_.ask(*rates_, total_ - position, engine_.loop_.now()))
                  : most;
}

/// Whether the client has taken less than min_rate over the whole window; a window in which it could not have
/// taken more doesn't count. Where the kernel holds it back for its own rate, it is half of that at most.
bool transfer::is_too_slow(clock::time_point now) noexcept {
    const limits& own = own_limits();
    if (own.min_rate == 0 || now < window_began_ + own.min_rate_window)
        return false;
    const std::chrono::duration<double> length = now - window_began_;
    const auto taken = static_cast<double>(last_acked_ - window_acked_);
    const std::uint64_t least = paced_ ? std::min(own.min_rate, offer_.speed().rate / 2) : own.min_rate;
    const bool slow = !held_up_ && taken < static_cast<double>(least) * length.count();
    window_began_ = now;
    window_acked_ = last_acked_;
    held_up_ = false;
    return slow;
}

void transfer::set_low_water(int bytes) noexcept {
    low_water_ = bytes;
    if (options_set_)
        set_notsent_low_water(client_.get(), bytes);
}

/// What matters while its client keeps it waiting. Many small responses never wait, and go without.
void transfer::set_options() noexcept {
    if (std::exchange(options_set_, true))
        return;
    set_low_water(low_water_);
    set_user_timeout(client_.get(), own_limits().stall_timeout);
}

void transfer::note_kernel_holds(std::uint64_t bytes) noexcept {
    engine_.tcp_memory_.changed(kernel_holds_, bytes);
    kernel_holds_ = bytes;
}

/// After a wait for the client: how long it took to empty what the kernel had for it tells how much that
/// should be.
void transfer::adapt_low_water() noexcept {
    const auto gap = engine_.loop_.now() - blocked_at_;
    const int wanted = gap < fast_gap ? engine_.tcp_memory_.raised(low_water_)
                       : gap > slow_gap || engine_.tcp_memory_.is_short() ? engine_.tcp_memory_.low_water()
                                                                          : low_water_;
    if (wanted != low_water_)
        set_low_water(wanted);
}

void transfer::raise_low_water() noexcept {
    if (const int wanted = engine_.tcp_memory_.raised(low_water_); wanted != low_water_)
        set_low_water(wanted);
}

/// Bytes that may go to the kernel now. sendfile(2) would give it a whole segment of up to 64 kB beyond the
/// low-water mark: where that is low, it is kept to the byte. 0: the edge will come.
std::uint64_t transfer::plain_room() noexcept {
    if (low_water_ > tcp_memory::first_low_water || (tls_ && tls_->in_kernel()))
        return ~std::uint64_t{0};
    const auto low_water = static_cast<std::uint64_t>(low_water_);
    const std::uint64_t left = low_water - std::min(unsent_bytes(client_.get()), low_water);
    if (left >= low_water / 2)
        return left;
    // More than half is unsent: that is what poll(2) calls full, and it arms the edge (tcp_poll in the
    // kernel).
    set_options();
    pollfd socket{client_.get(), POLLOUT, 0};
    return ::poll(&socket, 1, 0) == 0 ? 0 : low_water / 2;
}

} // namespace dlhandoff::engine
