#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

/// Returns a client's connection to httpd: one message (shared/wire.hpp: return_message) over a separate
/// connection to httpd's return socket.
namespace dlhandoff::engine {

/// Why connections can't be returned. Their clients' next requests then get no answer.
struct return_failure {
    enum class reason : std::uint8_t {
        not_there, ///< httpd has stopped
        stranger,  ///< the listener is neither root, nor this process's user, nor a trusted one
        system     ///< connect(2) or sendmsg(2) failed: `error`
    };
    reason why = reason::system;
    const std::string& path;
    int error = 0;      ///< errno
    uid_t listener = 0; ///< the user, for `stranger`
};

/// What happened, and what it means for the clients, as a sentence for a log.
[[nodiscard]] std::string describe(const return_failure& failure);

/// Whom connections may be returned to, and whom to tell when they can't be.
struct return_policy {
    std::vector<uid_t> trusted{}; ///< users who may listen there, besides root and this process's own
    std::function<void(const return_failure&)> on_failure{}; ///< on the engine's thread; may be empty
};

/// Whether this process may connect to the return socket there, or could a second ago. Any thread.
[[nodiscard]] bool can_return(std::string_view path) noexcept;

enum class return_result : std::uint8_t {
    returned,      ///< httpd has it, or will have it with its next accept; the caller closes its descriptor
    busy,          ///< the socket's backlog is full (listen(2)): try again later
    no_descriptor, ///< the process or the system has none left for the connection to httpd
    failed         ///< the policy's on_failure has been told
};

/// Sends a duplicate of the client's socket to httpd, with the number of requests so far. Never waits.
[[nodiscard]] return_result return_connection(int client, std::uint32_t requests, const std::string& path,
                                              const return_policy& policy);

} // namespace dlhandoff::engine
