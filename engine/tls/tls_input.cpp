#include "engine/tls/tls_input.hpp"

#include "engine/tls/tls_control.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

// RFC 8446, 6; RFC 5246, 7.2.
constexpr std::uint8_t alert_warning = 1;
constexpr std::uint8_t alert_close_notify = 0;
constexpr std::uint8_t alert_user_canceled = 90;

} // namespace

tls_input::heard tls_input::read(int socket, tls_workplace& place, tls_control& control) {
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
        const auto opened = place.opening.open(key_, key_.sequence, {record, whole});
        if (!opened)
            return heard::failed;
        ++key_.sequence;
        if (const heard said = take(*opened, control); said != heard::nothing_new)
            return said;
    }
    more_to_read_ = true;
    return heard::nothing_new;
}

tls_input::heard tls_input::take(record_cipher::opened record, tls_control& control) {
    switch (record.type) {
    case content_type::application_data:
        return heard::nothing_new; // a request that the head's "Connection: close" has refused already
    case content_type::handshake:
        return take_handshake(record.plaintext, control);
    case content_type::alert:
        if (record.plaintext.size() != 2)
            return heard::failed;
        if (record.plaintext[1] == alert_close_notify)
            return heard::closed;
        // In TLS 1.3 every other alert but user_canceled is fatal, whatever its level says (RFC 8446, 6).
        if (record.plaintext[1] == alert_user_canceled ||
            (is_tls12() && record.plaintext[0] == alert_warning))
            return heard::nothing_new;
        return heard::gone;
    case content_type::change_cipher_spec:
        break;
    }
    return heard::failed;
}

tls_input::heard tls_input::take_handshake(std::span<const std::uint8_t> message, tls_control& control) {
    if (is_tls12()) {
        // A client that wants to renegotiate: refused (RFC 5746 apart, it was never offered).
        control.want_refusal();
        return heard::nothing_new;
    }
    // KeyUpdate alone may come now, and it must end its record (RFC 8446, 5.1).
    if (message.size() != std::size(key_update_message) || message[4] > 1 ||
        !std::equal(message.begin(), message.begin() + 4, std::begin(key_update_message)))
        return heard::failed;
    key_.update();
    if (message[4] == 1)
        control.want_key_update();
    return heard::nothing_new;
}

} // namespace dlhandoff::engine
