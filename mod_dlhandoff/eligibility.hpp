#pragma once

#include "mod_dlhandoff/decline.hpp"

#include <httpd.h>

#include <optional>
#include <util_filter.h>
#include <variant>

/// Whether a request, and the connection that it came over, can be handed off. Each check gives the reason
/// against it. On the request's thread, from within the output filter.
namespace dlhandoff::httpd {

/// The request itself: looks only.
[[nodiscard]] std::optional<decline_reason> check_request(const request_rec* r) noexcept;

/// The filters between `own`, the module's, and the socket: all must be known to leave the response as it is.
[[nodiscard]] std::optional<decline_reason> check_filters(const ap_filter_t* own) noexcept;

/// The request's body must have been read to its end, or nothing may be left of it. Reads what is there,
/// without waiting.
[[nodiscard]] std::optional<decline_reason> check_request_body(request_rec* r) noexcept;

/// Earlier responses' output must be out of httpd's hands: flushes it, waiting for the client if need be, as
/// httpd does itself before a large response.
[[nodiscard]] std::optional<decline_reason> check_output(ap_filter_t* own) noexcept;

/// The client must not have sent anything after this request but empty lines, which are read away. What else
/// it has sent stays where httpd will read it.
[[nodiscard]] std::optional<decline_reason> check_input(request_rec* r) noexcept;

/// The connection's descriptor, borrowed, if it is TCP.
[[nodiscard]] std::variant<int, decline_reason> client_descriptor(conn_rec* c) noexcept;

} // namespace dlhandoff::httpd
