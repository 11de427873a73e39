#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

/// Giving a client's connection back to httpd: one message (shared/wire.hpp: return_message) over a
/// connection of its own to httpd's return socket.
namespace dlhandoff::engine {

/// Why connections can't be given back; their clients' next requests are not answered then.
struct return_failure {
    enum class reason : std::uint8_t {
        not_there, ///< httpd has stopped
        stranger,  ///< who listens there is neither root, nor this process's user, nor one that is trusted
        system     ///< connect(2) or sendmsg(2) failed: `error`
    };
    reason why = reason::system;
    const std::string& path;
    int error = 0;      ///< errno
    uid_t listener = 0; ///< the stranger
};

/// What happened, and what it means for the clients, as a sentence for a log.
[[nodiscard]] std::string describe(const return_failure& failure);

/// Where connections go back to, and who hears of it when they can't.
struct return_policy {
    std::vector<uid_t> trusted{}; ///< users, beside root and this process's own, that may listen there
    std::function<void(const return_failure&)> on_failure{}; ///< on the engine's thread; may be empty
};

/// Whether this process may connect to the return socket there, or could a second ago. Any thread.
[[nodiscard]] bool can_return(std::string_view path) noexcept;

enum class return_result : std::uint8_t {
    returned,      ///< httpd has it, or will when it next accepts; the caller closes its descriptor
    busy,          ///< as many wait there as fit (listen(2)'s backlog): try again later
    no_descriptor, ///< this process, or the system, has none left for the connection to httpd
    failed         ///< said to the policy's on_failure
};

/// Sends a duplicate of the client's socket, with the number of requests so far. Never waits.
[[nodiscard]] return_result return_connection(int client, std::uint32_t requests, const std::string& path,
                                              const return_policy& policy);

} // namespace dlhandoff::engine
