#include "mod_dlhandoff/return_terms.hpp"

#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/return_socket.hpp"
#include "mod_dlhandoff/tls_export.hpp"

#include <algorithm>
#include <cstdint>
#include <http_config.h>
#include <http_core.h>
#include <limits>

namespace dlhandoff::httpd {
namespace {

/// With mod_remoteip's PROXY protocol the connection began with a header that would be asked for again.
bool has_proxy_header(const conn_rec* c) noexcept {
    static const module* const remoteip = ap_find_linked_module("mod_remoteip.c");
    return remoteip != nullptr && ap_get_module_config(c->conn_config, remoteip) != nullptr;
}

/// Whether httpd takes the socket's own peer for the client.
bool is_peer(const conn_rec* c) noexcept {
    apr_sockaddr_t* peer = nullptr;
    apr_socket_t* const socket = ap_get_conn_socket(const_cast<conn_rec*>(c));
    return socket != nullptr && apr_socket_addr_get(&peer, APR_REMOTE, socket) == APR_SUCCESS &&
           (peer == c->client_addr ||
            (apr_sockaddr_equal(peer, c->client_addr) != 0 && peer->port == c->client_addr->port));
}

} // namespace

return_terms return_terms_of(const request_rec* r) noexcept {
    const conn_rec* const c = r->connection;
    const server_rec* const server = r->server;
    const std::string_view path = return_socket_path();
    if (path.empty() || c->keepalive != AP_CONN_KEEPALIVE || server->keep_alive_timeout <= 0 ||
        !server_config_of(server).keep_alive.value_or(true) || is_tls(r->connection) || has_proxy_header(c) ||
        !is_peer(c))
        return {};
    const auto timeout = std::max<apr_interval_time_t>(apr_time_as_msec(server->keep_alive_timeout), 1);
    constexpr auto longest = std::numeric_limits<std::int32_t>::max();
    return {path, static_cast<std::uint32_t>(std::min<apr_interval_time_t>(timeout, longest)),
            static_cast<std::uint32_t>(c->keepalives)};
}

} // namespace dlhandoff::httpd
