#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dlhandoff {

/// Why a manager does not take an offer. It travels in the answer. A refusal never costs the client anything,
/// since httpd then serves the response itself.
enum class refusal : std::uint16_t {
    malformed = 1,      ///< a field is out of its bounds, or sizes contradict each other
    truncated,          ///< shorter than its own header says
    oversized,          ///< longer than max_offer_size
    wire_version,       ///< another wire version
    ticket,             ///< the ticket is not this connection's, or no longer offered
    descriptors_lost,   ///< MSG_CTRUNC: the manager had no descriptors left, or was not allowed to receive
                        ///< these
    missing_descriptor, ///< fewer descriptors than the plan names
    extra_descriptor,   ///< more descriptors than the plan names
    not_tcp,            ///< the client descriptor is not a TCP socket
    not_connected,      ///< the client has already gone
    not_regular_file,   ///< a file descriptor is something else
    not_readable,       ///< a file descriptor is not open for reading
    file_changed,       ///< a file is not the one that httpd described, or too short for the plan
    full,               ///< no room for another transfer
    stopping,           ///< the manager is about to end
    tls,                ///< a TLS version or cipher suite that the manager can't go on with
    return_socket       ///< the manager may not connect to httpd's return socket
};

/// One past the last value: sizes tables that are indexed by refusal.
inline constexpr std::size_t refusal_count = 18;

/// The word for logs, notes and counters, such as "not-tcp".
[[nodiscard]] std::string_view name(refusal reason) noexcept;

/// Converts a number from the other side; an unknown one (of a later version) becomes `malformed`.
[[nodiscard]] refusal refusal_from_number(std::uint16_t number) noexcept;

} // namespace dlhandoff
