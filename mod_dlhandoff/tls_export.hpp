#pragma once

#include "mod_dlhandoff/decline.hpp"
#include "mod_dlhandoff/module.hpp"
#include "shared/secret_value.hpp"
#include "shared/tls_session.hpp"

#include <variant>

/// The keys and record counts of mod_ssl's connections, so that somebody else can go on with them.
///
/// mod_ssl lets other modules look on: its optional hook init_server gives each SSL_CTX, where the key log
/// callback yields TLS 1.3's traffic secrets; pre_handshake gives each SSL object, where the message callback
/// sees every record header. Nothing of mod_ssl is changed, and earlier key log callbacks (SSLKEYLOGFILE) go
/// on being called.
namespace dlhandoff::httpd {

/// At hook registration: looks on at mod_ssl's connections from now on, if it is there, by its optional hooks
/// init_server, as it starts, and pre_handshake, for each connection.
void watch_tls() noexcept;

/// Whether the connection is one of mod_ssl's.
[[nodiscard]] bool is_tls(conn_rec* c) noexcept;

/// What is needed to go on with the connection: nothing may be buffered or half read in either direction.
[[nodiscard]] std::variant<secret_value<tls_session>, decline_reason> export_tls(conn_rec* c) noexcept;

/// After the connection was handed off: mod_ssl is not to end it with an alert.
void forget_tls(conn_rec* c) noexcept;

} // namespace dlhandoff::httpd
