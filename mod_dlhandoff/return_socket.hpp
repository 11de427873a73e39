#pragma once

#include "shared/offer.hpp"

#include <httpd.h>

/// The return socket: a Unix socket (SOCK_SEQPACKET) that httpd's parent makes and all its children accept
/// at, beside their TCP ports. A manager that has sent a response gives the client's connection back here,
/// with its next request unread (shared/wire.hpp: return_message).
///
/// It is one more record in httpd's list of listeners, so that the MPM itself waits for it, whichever it is;
/// mode 0660, httpd's User and Group. It stays the same socket over restarts, and goes when httpd stops.
namespace dlhandoff::httpd {

// Hooks, in the parent and in this order. pre_config before the MPM's, which closes what no Listen names.
int keep_return_socket(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp) noexcept;
/// For check_config. Without a socket, which the log then says, connections end after each handed-off
/// response.
int open_return_socket(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                       server_rec* main_server) noexcept;
/// open_logs, after the MPM's: with ListenCoresBucketsRatio each bucket of children has listeners of its own.
int share_return_socket(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                        server_rec* main_server) noexcept;

/// Its path; "" if there is none.
[[nodiscard]] std::string_view return_socket_path() noexcept;

} // namespace dlhandoff::httpd
