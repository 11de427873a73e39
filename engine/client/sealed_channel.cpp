#include "engine/client/sealed_channel.hpp"

#include "engine/client/channel_workplace.hpp"
#include "engine/client/client_socket.hpp"
#include "engine/client/kernel_tls_channel.hpp"
#include "engine/files/scattered_read.hpp"
#include "engine/tls/secret_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

const tls_suite& suite_of(const tls_session& session) {
    const tls_suite* const found = find_tls_suite(session.version, session.suite);
    if (found == nullptr)
        throw std::runtime_error("a TLS cipher suite that the record layer does not know");
    return *found;
}

/// The bytes of parts, one after the other, into memory.
class part_reader {
  public:
    explicit part_reader(std::span<const channel::part> parts) noexcept : parts_(parts) {
        for (const channel::part& one : parts)
            left_ += one.length;
    }
    [[nodiscard]] std::uint64_t left() const noexcept { return left_; }

    /// Copies what is in memory, and notes what is to be read from files; reads it when it goes on elsewhere.
    [[nodiscard]] write_step fill(std::span<std::uint8_t> into) noexcept {
        while (!into.empty()) {
            const channel::part& one = parts_.front();
            const auto size =
                static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), one.length - within_));
            check_ = one.reading.check;
            if (one.memory != nullptr) {
                std::memcpy(into.data(), one.memory + within_, size);
            } else if (!reads_.add(*one.file, one.offset + within_, into.first(size))) {
                if (const write_step read = finish(); read != write_step::sent)
                    return read;
                (void)reads_.add(*one.file, one.offset + within_, into.first(size));
            }
            advance(size);
            into = into.subspan(size);
        }
        return write_step::sent;
    }

    /// Reads what fill() has noted.
    [[nodiscard]] write_step finish() noexcept {
        switch (reads_.read(check_)) {
        case scattered_read::result::read:
            return write_step::sent;
        case scattered_read::result::changed:
            return write_step::file_changed;
        case scattered_read::result::failed:
            error_ = errno;
            break;
        }
        return write_step::failed;
    }

    /// After fill() or finish() has not come to an end.
    [[nodiscard]] channel::given failure(write_step step) const noexcept {
        channel::given what{.step = step};
        if (step == write_step::failed) {
            what.unreadable = &reads_.file();
            what.offset = reads_.offset();
            what.error = error_;
        }
        return what;
    }

  private:
    void advance(std::size_t bytes) noexcept {
        within_ += bytes;
        left_ -= bytes;
        if (within_ == parts_.front().length) {
            parts_ = parts_.subspan(1);
            within_ = 0;
        }
    }

    std::span<const channel::part> parts_;
    std::uint64_t within_ = 0; ///< of the first part, what was read
    std::uint64_t left_ = 0;
    scattered_read reads_;
    file_check check_{}; ///< the same for all of a response
    int error_ = 0;
};

} // namespace

sealed_channel::sealed_channel(const tls_session& session)
    : key_(suite_of(session), session.write_secret, session.write_sequence),
      input_(traffic_key(suite_of(session), session.read_secret, session.read_sequence)),
      control_(key_.suite().record_limit) {}

void* sealed_channel::operator new(std::size_t size) {
    return secret_memory().allocate(size);
}

void sealed_channel::operator delete(void* channel, std::size_t size) noexcept {
    secret_memory().deallocate(channel, size);
}

channel::pointer sealed_channel::start(int socket) {
    return kernel_tls_channel::take_over(socket, key_, input_, control_);
}

/// In whole records, as many as the socket is likely to take: what it does not take was sealed in vain.
std::uint64_t sealed_channel::room(client_socket& socket) noexcept {
    const std::uint64_t records = std::min<std::uint64_t>(
        socket.room(max_record_plaintext) / max_record_plaintext, tls_workplace::batch);
    if (records == 0 || begun() == 0)
        return records * max_record_plaintext;
    return begun() + (records - 1) * max_record_plaintext;
}

std::uint64_t sealed_channel::whole(std::uint64_t bytes) const noexcept {
    return bytes < begun() ? 0 : bytes - (bytes - begun()) % max_record_plaintext;
}

channel::given sealed_channel::give(int socket, std::span<const part> parts, channel_workplace& place) {
    batch next(*this, place.tls());
    next.add_control();
    part_reader from(parts);
    for (bool first = true; from.left() != 0; first = false) {
        const std::uint64_t size = first && begun() != 0 ? begun() : max_record_plaintext;
        const auto into = next.plaintext(std::min(size, from.left()));
        if (into.empty())
            break;
        if (const write_step read = from.fill(into); read != write_step::sent)
            return from.failure(read);
    }
    if (const write_step read = from.finish(); read != write_step::sent)
        return from.failure(read);
    if (!next.seal())
        return {.step = write_step::file_changed};
    const auto bytes = next.unsent();
    if (bytes.empty())
        return {};
    ssize_t taken;
    do {
        taken = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return {.step = step_of_write_error(errno)};
    const auto count = static_cast<std::size_t>(taken);
    // A short count means that the socket is full, and that its edge will come (epoll(7), question 9).
    const write_step step = count == bytes.size() ? write_step::sent : write_step::would_block;
    return {.step = step, .taken = next.sent(count)};
}

channel::heard sealed_channel::hear(int socket, connection_end /*after*/, channel_workplace& place) {
    return heard_over_tls(input_.read(socket, place.tls(), control_), input_);
}

std::span<std::uint8_t> sealed_channel::batch::add_record(content_type type,
                                                          std::size_t plaintext_size) noexcept {
    const tls_suite& suite = channel_.suite();
    const std::size_t begin = end_of(count_);
    records_[count_++] = {begin + plaintext_size + record_overhead(suite), plaintext_size, type};
    return {place_.records.data() + begin + record_prefix(suite), plaintext_size};
}

bool sealed_channel::batch::seal_records() {
    sealed_channel& channel = channel_;
    for (; sealed_ < count_; ++sealed_) {
        const std::size_t begin = end_of(sealed_);
        const std::span<std::uint8_t> bytes{place_.records.data() + begin, records_[sealed_].end - begin};
        place_.sealing.seal(channel.key_, channel.key_.sequence + sealed_, records_[sealed_].type, bytes);
        if (sealed_ == 0 && channel.partial_ != 0 &&
            !std::equal(channel.partial_tag_.begin(), channel.partial_tag_.end(), bytes.end() - tag_size))
            return false;
    }
    return true;
}

void sealed_channel::batch::add_control() {
    sealed_channel& channel = channel_;
    tls_control& control = channel.control_;
    control.choose(channel.suite().version == tls13, channel.key_.sequence, tls_workplace::batch);
    // At the front, or behind the data record that is half sent; and last, since what follows may need
    // another key, or must not follow at all.
    if (control.current() == tls_control::record::none || count_ != (channel.data_is_half_sent() ? 1U : 0U))
        return;
    const auto message = control.message();
    std::ranges::copy(
        message,
        add_record(control.is_handshake() ? content_type::handshake : content_type::alert, message.size())
            .data());
    (void)seal_records();
}

std::span<std::uint8_t> sealed_channel::batch::plaintext(std::size_t size) noexcept {
    const bool control_is_next = channel_.control_.current() != tls_control::record::none && count_ == 1 &&
                                 channel_.data_is_half_sent();
    if (count_ == records_.size() || control_is_next || (count_ != 0 && records_[count_ - 1].is_control()))
        return {};
    return add_record(content_type::application_data, size);
}

void sealed_channel::batch::withdraw() noexcept {
    if (count_ > sealed_)
        --count_;
}

bool sealed_channel::batch::seal() {
    if (!seal_records())
        return false;
    add_control();
    return true;
}

std::span<const std::uint8_t> sealed_channel::batch::unsent() const noexcept {
    // An empty batch has nothing to go on with, even if half a record has been sent.
    if (sealed_ == 0)
        return {};
    return {place_.records.data() + channel_.partial_, end_of(sealed_) - channel_.partial_};
}

std::size_t sealed_channel::batch::sent(std::size_t bytes) {
    sealed_channel& channel = channel_;
    channel.wire_sent_ += bytes;
    const std::size_t taken = channel.partial_ + bytes;
    std::size_t plaintext = 0;
    std::size_t index = 0;
    for (; index < sealed_ && records_[index].end <= taken; ++index)
        if (!records_[index].is_control())
            plaintext += records_[index].plaintext;
    channel.key_.sequence += index;
    if (index > 0 && records_[index - 1].is_control()) {
        const std::size_t size = end_of(index) - end_of(index - 1);
        channel.wire_control_ += size;
        const tls_control::record done = channel.control_.sent();
        if (done == tls_control::record::close_notify)
            channel.wire_closing_ = static_cast<std::uint16_t>(size);
        if (done == tls_control::record::key_update)
            channel.key_.update();
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

void sealed_channel::forget_keys(channel_workplace& place) const noexcept {
    place.wipe_keys();
}

std::string sealed_channel::description() const {
    return describe_tls(suite(), "user");
}

std::uint64_t sealed_channel::delivered(int /*socket*/, std::uint64_t acknowledged,
                                        std::uint64_t position) const noexcept {
    if (acknowledged >= wire_sent_ - wire_closing_)
        return position;
    const std::uint64_t data = acknowledged - std::min(acknowledged, wire_control_ - wire_closing_);
    const std::uint64_t full = max_record_plaintext + record_overhead(suite());
    const std::uint64_t rest = data % full;
    const std::uint64_t prefix = record_prefix(suite());
    const std::uint64_t plaintext =
        data / full * max_record_plaintext +
        std::min<std::uint64_t>(rest - std::min(rest, prefix), max_record_plaintext);
    return std::min(plaintext, position);
}

} // namespace dlhandoff::engine
