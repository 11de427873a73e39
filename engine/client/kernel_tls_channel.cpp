#include "engine/client/kernel_tls_channel.hpp"

#include "engine/client/channel_workplace.hpp"
#include "engine/client/client_socket.hpp"
#include "engine/client/plain_channel.hpp"
#include "engine/tls/secret_memory.hpp"

#include <algorithm>
#include <limits>

namespace dlhandoff::engine {

channel::pointer kernel_tls_channel::take_over(int socket, const traffic_key& key, const tls_input& input,
                                               const tls_control& control) {
    if (!kernel_tls::usable_for(key.suite()))
        return nullptr;
    const auto kernel = kernel_tls::start(socket, key);
    if (!kernel)
        return nullptr;
    auto* const kernel_sealed = new kernel_tls_channel(*kernel, key, input, control);
    pointer made(kernel_sealed);
    // The present key is the kernel's alone now. The next one doesn't tell it (RFC 8446, 7.2).
    if (key.suite().version == tls13)
        kernel_sealed->next_key_.update();
    else
        kernel_sealed->next_key_.forget();
    return made;
}

void* kernel_tls_channel::operator new(std::size_t size) {
    return secret_memory().allocate(size);
}

void kernel_tls_channel::operator delete(void* channel, std::size_t size) noexcept {
    secret_memory().deallocate(channel, size);
}

std::uint64_t kernel_tls_channel::room(client_socket& /*socket*/) noexcept {
    return std::numeric_limits<std::uint64_t>::max();
}

channel::given kernel_tls_channel::give(int socket, std::span<const part> parts, channel_workplace& place) {
    std::uint64_t bytes = 0;
    for (const part& one : parts)
        bytes += one.length;
    watch_key(socket, bytes); // a record holds a byte at least
    if (const write_step control = send_control(socket); control != write_step::sent)
        return {.step = control};
    return plain_channel::send_parts(socket, parts, place);
}

void kernel_tls_channel::watch_key(int socket, std::uint64_t records) noexcept {
    const std::uint64_t limit = control_.record_limit();
    if (next_key_.suite().version != tls13 || control_.waits() ||
        limit == std::numeric_limits<std::uint64_t>::max())
        return;
    const std::uint64_t margin = std::min(records, limit / 2);
    if (kernel_.sequence(socket).value_or(limit) >= limit - margin)
        control_.want_key_update();
}

write_step kernel_tls_channel::send_control(int socket) {
    for (;;) {
        control_.choose(false, 0, 0);
        if (control_.current() == tls_control::record::none)
            return write_step::sent;
        const auto type = control_.is_handshake() ? content_type::handshake : content_type::alert;
        if (const write_step sent = kernel_.send_record(socket, type, control_.message());
            sent != write_step::sent)
            return sent;
        const tls_control::record done = control_.sent();
        if (done == tls_control::record::close_notify)
            wire_closing_ = static_cast<std::uint16_t>(record_overhead(next_key_.suite()) + 2);
        if (done == tls_control::record::key_update) {
            if (!kernel_.change_key(socket, next_key_))
                return write_step::failed;
            next_key_.update();
        }
    }
}

/// If it is TCP's queue that is full, its edge will come; but if it was memory that could not be had, with
/// nothing left to be acknowledged, nobody will tell.
bool kernel_tls_channel::edge_will_come(int socket) const noexcept {
    kernel_tls::flush(socket);
    return tcp_progress::unacknowledged(socket) != 0;
}

channel::heard kernel_tls_channel::hear(int socket, connection_end /*after*/, channel_workplace& place) {
    return heard_over_tls(input_.read(socket, place.tls(), control_), input_);
}

std::uint64_t kernel_tls_channel::delivered(int socket, std::uint64_t acknowledged,
                                            std::uint64_t position) const noexcept {
    const std::uint64_t data = wire_bytes(socket, position) - wire_closing_;
    return acknowledged >= data ? position : position - std::min(position, data - acknowledged);
}

bool kernel_tls_channel::is_all_in_tcp(const client_socket& socket, std::uint64_t position) const noexcept {
    return socket.progress().written(socket.get()) >= wire_bytes(socket.get(), position);
}

void kernel_tls_channel::forget_keys(channel_workplace& place) const noexcept {
    place.wipe_keys();
}

std::string kernel_tls_channel::description() const {
    return describe_tls(next_key_.suite(), "kernel");
}

channel::heard heard_over_tls(tls_input::heard said, const tls_input& input) noexcept {
    switch (said) {
    case tls_input::heard::nothing_new:
        return {write_step::sent, input.more_to_read(), input.more_to_read()};
    case tls_input::heard::closed:
        return {};
    case tls_input::heard::gone:
        return {.step = write_step::client_gone};
    case tls_input::heard::failed:
        break;
    }
    return {.step = write_step::failed};
}

std::string describe_tls(const tls_suite& suite, std::string_view sealer) {
    std::string text = suite.version == tls13 ? "TLSv1.3 " : "TLSv1.2 ";
    text += suite.name;
    text += ' ';
    text += sealer;
    return text;
}

} // namespace dlhandoff::engine
