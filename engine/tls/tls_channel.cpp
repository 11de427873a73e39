#include "engine/tls/tls_channel.hpp"

#include "engine/tls/secret_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

const tls_suite& suite_of(const tls_session& session) {
    const tls_suite* const found = find_tls_suite(session.version, session.suite);
    if (found == nullptr)
        throw std::runtime_error("a TLS cipher suite that the record layer does not know");
    return *found;
}

// RFC 8446, 6 and 4.6.3; the alert of RFC 5246, 7.2.2.
constexpr std::uint8_t alert_warning = 1;
constexpr std::uint8_t alert_close_notify = 0;
constexpr std::uint8_t alert_no_renegotiation = 100;
constexpr std::uint8_t alert_user_canceled = 90;
constexpr std::uint8_t handshake_key_update = 24;
constexpr std::array<std::uint8_t, 5> key_update_message{handshake_key_update, 0, 0, 1, 0};

} // namespace

tls_workplace::tls_workplace() : records(batch * (max_record_plaintext + 64)) {}

tls_channel::tls_channel(const tls_session& session)
    : write_(suite_of(session), session.write_secret, session.write_sequence),
      read_(suite_of(session), session.read_secret, session.read_sequence),
      record_limit_(write_.suite().record_limit) {}

void* tls_channel::operator new(std::size_t size) {
    return secret_memory().allocate(size);
}

void tls_channel::operator delete(void* channel, std::size_t size) noexcept {
    secret_memory().deallocate(channel, size);
}

std::span<std::uint8_t> tls_channel::batch::add_record(content_type type,
                                                       std::size_t plaintext_size) noexcept {
    const tls_suite& suite = channel_.suite();
    const std::size_t begin = end_of(count_);
    records_[count_++] = {begin + plaintext_size + record_overhead(suite), plaintext_size, type};
    return {place_.records.data() + begin + record_prefix(suite), plaintext_size};
}

bool tls_channel::batch::seal_records() {
    tls_channel& channel = channel_;
    for (; sealed_ < count_; ++sealed_) {
        const std::size_t begin = end_of(sealed_);
        const std::span<std::uint8_t> bytes{place_.records.data() + begin, records_[sealed_].end - begin};
        place_.sealing.seal(channel.write_, channel.write_.sequence + sealed_, records_[sealed_].type, bytes);
        if (sealed_ == 0 && channel.partial_ != 0 &&
            !std::equal(channel.partial_tag_.begin(), channel.partial_tag_.end(), bytes.end() - tag_size))
            return false;
    }
    return true;
}

/// At a record boundary: what goes before the next data record, if anything.
void tls_channel::choose_control() noexcept {
    if (closed_)
        return;
    const std::uint64_t margin = std::min<std::uint64_t>(tls_workplace::batch, record_limit_ / 2);
    const bool key_is_worn = suite().version == tls13 && write_.sequence + margin >= record_limit_;
    if (update_wanted_ || key_is_worn) {
        control_ = control::key_update;
        update_wanted_ = false;
    } else if (refusal_wanted_) {
        control_ = control::no_renegotiation;
        refusal_wanted_ = false;
    } else if (close_wanted_) {
        control_ = control::close_notify;
        closed_ = true;
    }
}

void tls_channel::batch::add_control() {
    tls_channel& channel = channel_;
    if (channel.control_ == control::none)
        channel.choose_control();
    // At the front, or behind the data record that is half sent; and last, since what follows may need
    // another key, or must not follow at all.
    if (channel.control_ == control::none || count_ != (channel.data_is_half_sent() ? 1U : 0U))
        return;
    if (channel.control_ == control::key_update) {
        std::ranges::copy(key_update_message,
                          add_record(content_type::handshake, key_update_message.size()).data());
    } else {
        const auto body = add_record(content_type::alert, 2);
        body[0] = alert_warning;
        body[1] = channel.control_ == control::close_notify ? alert_close_notify : alert_no_renegotiation;
    }
    (void)seal_records();
}

std::span<std::uint8_t> tls_channel::batch::plaintext(std::size_t size) noexcept {
    const bool control_is_next =
        channel_.control_ != control::none && count_ == 1 && channel_.data_is_half_sent();
    if (count_ == records_.size() || control_is_next || (count_ != 0 && records_[count_ - 1].is_control()))
        return {};
    return add_record(content_type::application_data, size);
}

void tls_channel::batch::withdraw() noexcept {
    if (count_ > sealed_)
        --count_;
}

bool tls_channel::batch::seal() {
    if (!seal_records())
        return false;
    add_control();
    return true;
}

std::span<const std::uint8_t> tls_channel::batch::unsent() const noexcept {
    // An empty batch has nothing to go on with, even if half a record has been sent.
    if (sealed_ == 0)
        return {};
    return {place_.records.data() + channel_.partial_, end_of(sealed_) - channel_.partial_};
}

std::size_t tls_channel::batch::sent(std::size_t bytes) {
    tls_channel& channel = channel_;
    channel.wire_sent_ += bytes;
    const std::size_t taken = channel.partial_ + bytes;
    std::size_t plaintext = 0;
    std::size_t index = 0;
    for (; index < sealed_ && records_[index].end <= taken; ++index)
        if (!records_[index].is_control())
            plaintext += records_[index].plaintext;
    channel.write_.sequence += index;
    if (index > 0 && records_[index - 1].is_control()) {
        const std::size_t size = end_of(index) - end_of(index - 1);
        channel.wire_control_ += size;
        if (channel.control_ == control::close_notify)
            channel.wire_closing_ = static_cast<std::uint16_t>(size);
        if (channel.control_ == control::key_update)
            channel.write_.update();
        channel.control_ = control::none;
    }
    channel.partial_ = static_cast<std::uint32_t>(taken - end_of(index));
    if (channel.partial_ != 0) {
        channel.partial_is_control_ = records_[index].is_control();
        channel.partial_plaintext_ = static_cast<std::uint16_t>(records_[index].plaintext);
        std::memcpy(channel.partial_tag_.data(), place_.records.data() + records_[index].end - tag_size,
                    tag_size);
    }
    return plaintext;
}

bool tls_channel::start_kernel(int socket) {
    if (!kernel_tls::usable_for(suite()))
        return false;
    kernel_ = kernel_tls::start(socket, write_);
    if (!kernel_)
        return false;
    // The present key is the kernel's alone now. The next one doesn't tell it (RFC 8446, 7.2).
    if (suite().version == tls13)
        write_.update();
    else
        write_.forget();
    return true;
}

void tls_channel::watch_key(int socket, std::uint64_t records) noexcept {
    if (suite().version != tls13 || control_waits() ||
        record_limit_ == std::numeric_limits<std::uint64_t>::max())
        return;
    const std::uint64_t margin = std::min(records, record_limit_ / 2);
    update_wanted_ = kernel_->sequence(socket).value_or(record_limit_) >= record_limit_ - margin;
}

kernel_tls::result tls_channel::send_control(int socket) {
    for (;;) {
        if (control_ == control::none)
            choose_control();
        kernel_tls::result sent = kernel_tls::result::failed;
        switch (control_) {
        case control::none:
            return kernel_tls::result::done;
        case control::key_update:
            sent = kernel_->send_record(socket, content_type::handshake, key_update_message);
            break;
        case control::no_renegotiation:
        case control::close_notify:
            sent = kernel_->send_record(socket, content_type::alert,
                                        std::array{alert_warning, control_ == control::close_notify
                                                                      ? alert_close_notify
                                                                      : alert_no_renegotiation});
            break;
        }
        if (sent != kernel_tls::result::done)
            return sent;
        const control done = std::exchange(control_, control::none);
        if (done == control::close_notify)
            wire_closing_ = static_cast<std::uint16_t>(record_overhead(suite()) + 2);
        if (done == control::key_update) {
            if (!kernel_->change_key(socket, write_))
                return kernel_tls::result::failed;
            write_.update();
        }
    }
}

tls_channel::heard tls_channel::read(int socket, tls_workplace& place) {
    more_to_read_ = false;
    for (int records = 0; records < records_read_at_once; ++records) {
        std::uint8_t* const record = place.records.data();
        ssize_t got;
        do {
            got = ::recv(socket, record, max_record_size, MSG_PEEK | MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        if (got == 0)
            return heard::closed;
        if (got < 0)
            return errno == EAGAIN ? heard::nothing_new : heard::gone;
        const auto size = static_cast<std::size_t>(got);
        if (size < record_header_size)
            return heard::nothing_new;
        const std::size_t whole = record_header_size + (static_cast<std::size_t>(record[3]) << 8 | record[4]);
        if (record[1] != 3 || whole > max_record_size)
            return heard::failed;
        if (size < whole)
            return heard::nothing_new;
        if (::recv(socket, nullptr, whole, MSG_TRUNC | MSG_DONTWAIT) != static_cast<ssize_t>(whole))
            return heard::failed;
        const auto opened = place.opening.open(read_, read_.sequence, {record, whole});
        if (!opened)
            return heard::failed;
        ++read_.sequence;
        if (const heard said = take(*opened); said != heard::nothing_new)
            return said;
    }
    more_to_read_ = true;
    return heard::nothing_new;
}

tls_channel::heard tls_channel::take(record_cipher::opened record) {
    switch (record.type) {
    case content_type::application_data:
        return heard::nothing_new; // a request that the head's "Connection: close" has refused already
    case content_type::handshake:
        return take_handshake(record.plaintext);
    case content_type::alert:
        if (record.plaintext.size() != 2)
            return heard::failed;
        if (record.plaintext[1] == alert_close_notify)
            return heard::closed;
        // In TLS 1.3 every other alert but user_canceled is fatal, whatever its level says (RFC 8446, 6).
        if (record.plaintext[1] == alert_user_canceled ||
            (suite().version == tls12 && record.plaintext[0] == alert_warning))
            return heard::nothing_new;
        return heard::gone;
    case content_type::change_cipher_spec:
        break;
    }
    return heard::failed;
}

tls_channel::heard tls_channel::take_handshake(std::span<const std::uint8_t> message) {
    if (suite().version == tls12) {
        // A client that wants to renegotiate: refused (RFC 5746 apart, it was never offered).
        refusal_wanted_ = true;
        return heard::nothing_new;
    }
    // KeyUpdate alone may come now, and it must end its record (RFC 8446, 5.1).
    if (message.size() != key_update_message.size() || message[4] > 1 ||
        !std::equal(message.begin(), message.begin() + 4, key_update_message.begin()))
        return heard::failed;
    read_.update();
    if (message[4] == 1)
        update_wanted_ = true;
    return heard::nothing_new;
}

std::string tls_channel::describe() const {
    return std::string(suite().version == tls13 ? "TLSv1.3 " : "TLSv1.2 ") + suite().name +
           (kernel_ ? " kernel" : " user");
}

std::uint64_t tls_channel::plaintext_of(std::uint64_t wire, std::uint64_t wire_sent,
                                        std::uint64_t plaintext_sent) const noexcept {
    if (wire >= wire_sent - wire_closing_)
        return plaintext_sent;
    if (kernel_)
        return plaintext_sent - std::min(plaintext_sent, wire_sent - wire_closing_ - wire);
    const std::uint64_t data = wire - std::min(wire, wire_control_ - wire_closing_);
    const std::uint64_t full = max_record_plaintext + record_overhead(suite());
    const std::uint64_t rest = data % full;
    const std::uint64_t prefix = record_prefix(suite());
    const std::uint64_t plaintext =
        data / full * max_record_plaintext +
        std::min<std::uint64_t>(rest - std::min(rest, prefix), max_record_plaintext);
    return std::min(plaintext, plaintext_sent);
}

} // namespace dlhandoff::engine
