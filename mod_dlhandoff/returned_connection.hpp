#pragma once

#include <httpd.h>

namespace dlhandoff::httpd {

/// Hook create_connection, before core's: what the MPM has accepted on the return socket becomes the client's
/// connection, addresses and all. Who connects must be root, httpd's User or the service's, and must send one
/// return message with one TCP connection; anything else becomes a connection that has ended already. Always
/// leaves the rest to core.
conn_rec* receive_returned(apr_pool_t* pool, server_rec* server, apr_socket_t* accepted, long id,
                           void* scoreboard, apr_bucket_alloc_t* buckets) noexcept;

/// Hook pre_connection: a returned connection goes on counting its requests (%k, MaxKeepAliveRequests).
int go_on_counting(conn_rec* c, void* socket) noexcept;

} // namespace dlhandoff::httpd
