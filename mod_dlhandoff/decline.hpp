#pragma once

#include "shared/refusal.hpp"

#include <cstdint>
#include <string_view>
#include <variant>

namespace dlhandoff::httpd {

/// Why the module left a response to httpd, decided in httpd itself.
enum class decline_reason : std::uint8_t {
    env,                  ///< no-dlhandoff is set
    method,               ///< HEAD, or another response without a body
    subrequest,           ///< somebody else's subrequest
    http2,                ///< a stream of an HTTP/2 connection
    http09,               ///< HTTP/0.9: no head
    head,                 ///< what came first is not the head of an HTTP/1.x response
    request_body,         ///< the request's body has not been read to its end
    pipelined,            ///< the client has sent more: its next request, probably
    buffered,             ///< httpd still holds output for this client that it can't write
    client_gone,          ///< the connection is broken already
    tls,                  ///< encrypted, and by nobody whose keys this module sees, or DLHandoffTLS is Off
    tls_state,            ///< encrypted, with a handshake or key change that was not seen whole
    tls_suite,            ///< encrypted with a version or cipher suite that the manager can't go on with
    filter,               ///< an unknown filter between this module and the socket, or a rate limit
    bucket,               ///< data that is neither memory nor a file, or comes piecemeal
    memory,               ///< more than 64 KiB of it are not in files
    no_file,              ///< nothing of it is in a file
    min_size,             ///< fewer file bytes than DLHandoffMinSize
    too_many_files,       ///< more files than an offer can name
    file_changed,         ///< a file is shorter than the response needs
    not_tcp,              ///< the client's connection is not TCP
    descriptors,          ///< no descriptor left in this process
    no_memory,            ///< no memory left in this process
    manager_down,         ///< nobody listens at the manager's socket, or the engine did not start
    manager_user,         ///< who listens at the manager's socket may not
    manager_unresponsive, ///< the manager is there but doesn't answer
    manager_timeout,      ///< the manager did not claim within DLHandoffClaimTimeout
    wire_version,         ///< the manager speaks another version
    board                 ///< the manager's board has another layout
};

[[nodiscard]] std::string_view name(decline_reason reason) noexcept;

/// Why httpd serves: a reason of its own, or the manager's refusal.
using decline = std::variant<decline_reason, refusal>;

/// The word for notes and logs, such as "min-size" or "full".
[[nodiscard]] std::string_view name(const decline& why) noexcept;

/// True if an administrator should look after the manager, false if it was this response or its client.
[[nodiscard]] bool is_managers_fault(const decline& why) noexcept;

} // namespace dlhandoff::httpd
