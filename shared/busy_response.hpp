#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace dlhandoff {

/// The response to a request for which there is no room: 503 with Retry-After (RFC 9110, 15.6.4 and 10.2.3)
/// and a short body, head and all.
///
/// It takes the place of a response that was composed already, and whose head is `instead_of`: what that
/// promised for the connection (Connection, Keep-Alive) it promises too, since somebody else may have
/// arranged for it, and what tells the server and who may read the response (Server,
/// Strict-Transport-Security, Access-Control-*) stays as well. `retry_after` is rounded up to seconds, 1 at
/// least.
[[nodiscard]] std::string busy_response(std::string_view instead_of,
                                        std::chrono::system_clock::time_point now,
                                        std::chrono::milliseconds retry_after);

} // namespace dlhandoff
