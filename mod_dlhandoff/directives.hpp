#pragma once

#include "engine/limits/limits.hpp"
#include "shared/offer.hpp"

#include <httpd.h>

#include <ap_expr.h>
#include <chrono>
#include <cstdint>
#include <http_config.h>
#include <optional>

namespace dlhandoff::httpd {

/// Directives that may stand in a server, virtual host, directory or .htaccess. Lives in httpd's pools; what
/// is not set inherits.
struct directory_config {
    std::optional<bool> handoff;
    std::optional<std::uint64_t> min_size; ///< bytes in files; unset: default_min_size
    const ap_expr_info_t* tag = nullptr;
    const ap_expr_info_t* client = nullptr; ///< whom limits count against; nullptr: the client's address
    const char* transfer_class = nullptr;   ///< nullptr: the class "default"
    std::optional<pace> rate;
    std::optional<bool> busy_when_full; ///< 503 instead of httpd's serving; unset is off
    std::optional<file_check> check;    ///< nothing: file_check::size

    static constexpr std::uint64_t default_min_size = 1024 * 1024;
    [[nodiscard]] bool on() const noexcept { return handoff.value_or(false); }
};

/// Directives of a server: `tls` and `keep_alive` of each virtual host, the others of the main server. Lives
/// in pconf: as long as one reading of the configuration.
struct server_config {
    std::optional<bool> tls;              ///< DLHandoffTLS; unset is on
    std::optional<bool> keep_alive;       ///< DLHandoffKeepAlive; unset is on
    const char* manager_socket = nullptr; ///< the service's; nullptr: embedded
    std::chrono::microseconds claim_timeout = std::chrono::milliseconds(250);
    engine::limits embedded_limits{.queue = 1000}; ///< of the embedded manager
    const char* embedded_limit = nullptr;          ///< the last directive that set one of them
    const char* transfer_log_path = nullptr;
};

[[nodiscard]] const directory_config& directory_config_of(const request_rec* r) noexcept;
[[nodiscard]] server_config& server_config_of(const server_rec* server) noexcept;

// For the module record: called by httpd while it reads its configuration, one thread.
void* create_directory_config(apr_pool_t* pool, char* directory) noexcept;
void* merge_directory_config(apr_pool_t* pool, void* base, void* added) noexcept;
void* create_server_config(apr_pool_t* pool, server_rec* server) noexcept;
void* merge_server_config(apr_pool_t* pool, void* base, void* added) noexcept;
extern const command_rec directives[];

/// Hook: what single directives can't see. An error stops configtest and start.
int check_directives(apr_pool_t* pconf, apr_pool_t* plog, apr_pool_t* ptemp,
                     server_rec* main_server) noexcept;

} // namespace dlhandoff::httpd
