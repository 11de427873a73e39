// The part of a transfer that goes through TLS records.

#include "engine/client/write_error.hpp"
#include "engine/engine.hpp"
#include "engine/files/scattered_read.hpp"
#include "engine/transfer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::chrono::milliseconds memory_pause{20};

} // namespace

/// Records that the socket takes now, as far as can be told: what it doesn't take was sealed in vain. 0: it
/// is full, and its edge will come.
std::size_t transfer::room() noexcept {
    const auto low_water = static_cast<std::uint64_t>(low_water_);
    const std::uint64_t left = low_water - std::min(unsent_bytes(client_.get()), low_water);
    if (left >= max_record_plaintext)
        return std::min<std::uint64_t>(left / max_record_plaintext, tls_workplace::batch);
    // poll(2) arms the edge as a send(2) that fails does, and seals nothing. It calls a socket full that has
    // more than half of its low water unsent (tcp_poll in the kernel).
    set_options();
    pollfd socket{client_.get(), POLLOUT, 0};
    return ::poll(&socket, 1, 0) == 0 ? 0 : 1;
}

/// Seals as many records as the socket is likely to take, and gives them to it. What it does not take is
/// sealed again when there is room: nothing is kept.
transfer::step transfer::send_sealed(std::uint64_t most) {
    if (cursor_.position() == total_ && !closing_) {
        closing_ = true;
        tls_->close();
    }
    const std::size_t most_records = room();
    if (most_records == 0)
        return step::would_block;
    tls_channel::batch batch(*tls_, engine_.tls_place());
    batch.add_control();
    scattered_read reads;
    response_cursor from = cursor_;
    step reading = step::sent;
    for (std::size_t records = 0; records < most_records && from.position() < total_; ++records) {
        const std::uint64_t done = from.position() - cursor_.position();
        if (done >= most)
            break;
        std::uint64_t size = std::min({max_record_plaintext, total_ - from.position(), most - done});
        if (const std::size_t half_sent = tls_->half_sent(); half_sent != 0 && records == 0)
            size = half_sent;
        const auto into = batch.plaintext(size);
        if (into.empty())
            break;
        reading = gather(from, into, reads);
        if (reading != step::sent) {
            batch.withdraw();
            break;
        }
    }
    if (const step read = finish_reads(reads); read != step::sent)
        return read;
    if (!batch.seal())
        return step::file_changed;
    const auto bytes = batch.unsent();
    if (bytes.empty())
        return reading;
    ssize_t taken;
    do {
        taken = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0) {
        switch (classify_write_error(errno)) {
        case write_error::again:
            return reading == step::must_read ? reading : step::would_block;
        case write_error::client_gone:
            return step::client_gone;
        case write_error::other:
            return step::failed;
        }
    }
    const bool all = static_cast<std::size_t>(taken) == bytes.size();
    advance(batch.sent(static_cast<std::size_t>(taken)));
    // A short count means that the socket is full, and that its edge will come (epoll(7), question 9).
    return all || reading == step::must_read ? reading : step::would_block;
}

/// Where the kernel seals: what goes between the data, and close_notify behind them.
transfer::step transfer::send_control() {
    if (cursor_.position() == total_ && !closing_) {
        closing_ = true;
        tls_->close();
    }
    if (!tls_->control_waits())
        return step::sent;
    switch (tls_->send_control(client_.get())) {
    case kernel_tls::result::done:
        return step::sent;
    case kernel_tls::result::would_block:
        return step::would_block;
    case kernel_tls::result::client_gone:
        return step::client_gone;
    case kernel_tls::result::failed:
        break;
    }
    return step::failed;
}

/// The kernel's TLS has no room. If it is TCP's queue that is full, its edge will come; but if it was memory
/// that could not be had, with nothing left to be acknowledged, nobody will tell.
void transfer::wait_behind_kernel_tls() {
    kernel_tls::flush(client_.get());
    if (tcp_progress::unacknowledged(client_.get()) == 0)
        engine_.deadlines_.set(*this, engine_.loop_.now() + memory_pause);
}

/// Copies what is in memory, and notes in `reads` what is to be read from files; reads it when it goes on
/// elsewhere.
transfer::step transfer::gather(response_cursor& from, std::span<std::uint8_t> into, scattered_read& reads) {
    while (!into.empty()) {
        const plan_piece& piece = offer_.pieces()[from.piece()];
        const std::uint64_t within = from.within();
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), piece.length - within));
        if (piece.from == plan_piece::source::memory) {
            std::memcpy(into.data(), offer_.memory().data() + piece.offset + within, size);
        } else {
            if (!make_warm(from, size))
                return step::must_read;
            const shared_file& file = *files_[piece.file];
            if (!reads.add(file, piece.offset + within, into.first(size))) {
                if (const step read = finish_reads(reads); read != step::sent)
                    return read;
                (void)reads.add(file, piece.offset + within, into.first(size));
            }
        }
        from.advance(offer_.pieces(), size);
        into = into.subspan(size);
    }
    return step::sent;
}

transfer::step transfer::finish_reads(scattered_read& reads) {
    switch (reads.read()) {
    case scattered_read::result::read:
        return step::sent;
    case scattered_read::result::changed:
        return step::file_changed;
    case scattered_read::result::failed:
        break;
    }
    return step::failed;
}

/// Before a turn: what the client has said, and what the key's age demands.
transfer::step transfer::hear_client() {
    if (tls_->in_kernel())
        tls_->watch_key(client_.get(), quantum); // a record holds a byte at least
    if (!std::exchange(input_, false))
        return step::sent;
    switch (tls_->read(client_.get(), engine_.tls_place())) {
    case tls_channel::heard::nothing_new:
        input_ = tls_->more_to_read();
        return step::sent;
    case tls_channel::heard::closed: // its direction only: it may well want the response (RFC 8446, 6.1)
        return step::sent;
    case tls_channel::heard::gone:
        return step::client_gone;
    case tls_channel::heard::failed:
        break;
    }
    return step::failed;
}

} // namespace dlhandoff::engine
