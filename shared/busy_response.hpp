#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace dlhandoff {

/// The response to a request for which there is no room: 503 with Retry-After (RFC 9110, 15.6.4 and 10.2.3)
/// and a short body, head and all.
///
/// It replaces a response that was composed already, and whose head is `instead_of`. It promises the same for
/// the connection (Connection, Keep-Alive), since others may have acted on that, and it keeps the fields that
/// name the server and say who may read the response (Server, Strict-Transport-Security, Access-Control-*).
/// `retry_after` is rounded up to whole seconds, at least 1.
[[nodiscard]] std::string busy_response(std::string_view instead_of,
                                        std::chrono::system_clock::time_point now,
                                        std::chrono::milliseconds retry_after);

} // namespace dlhandoff
