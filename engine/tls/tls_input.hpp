#pragma once

#include "engine/tls/tls_record.hpp"
#include "engine/tls/tls_suite.hpp"
#include "engine/tls/tls_workplace.hpp"
#include "engine/tls/traffic_key.hpp"

#include <cstdint>
#include <span>
#include <utility>

namespace dlhandoff::engine {

class tls_control;

/// What a client says over TLS while a response goes to it: its records are opened, and what they demand is
/// given to tls_control. Requests among them are dropped: the response's "Connection: close" has refused
/// them.
class tls_input {
  public:
    explicit tls_input(traffic_key key) noexcept : key_(std::move(key)) {}

    enum class heard : std::uint8_t {
        nothing_new, ///< all that has arrived is dealt with
        closed,      ///< close_notify or the end of file: the client sends nothing more
        gone,        ///< a fatal alert, or a reset
        failed       ///< what no TLS client sends: the connection must end
    };
    /// Reads and opens what the client has sent, so many records at most, lest one client hold up the others.
    /// A record that has not arrived whole stays in the socket.
    static constexpr int records_read_at_once = 16;
    [[nodiscard]] heard read(int socket, tls_workplace& place, tls_control& control);

    /// Whether read() stopped at its bound: then call it again, since no event will tell of what is there.
    [[nodiscard]] bool more_to_read() const noexcept { return more_to_read_; }

  private:
    [[nodiscard]] heard take(record_cipher::opened record, tls_control& control);
    [[nodiscard]] heard take_handshake(std::span<const std::uint8_t> message, tls_control& control);
    [[nodiscard]] bool is_tls12() const noexcept { return key_.suite().version == tls12; }

    traffic_key key_;
    bool more_to_read_ = false;
};

} // namespace dlhandoff::engine
