#pragma once

#include "engine/limits/limits.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace dlhandoff::service {

enum class log_level : std::uint8_t { debug, info, warning, error };

/// What an admin can set. Every value here has been checked; the defaults are those of a service without a
/// configuration file.
struct configuration {
    std::string listen = "/run/dlmanagerd/manager.sock"; ///< absolute, fits a Unix address
    std::vector<uid_t> allow_users; ///< who may connect; root and the manager's own user always may
    std::vector<uid_t> admin_users; ///< who may ask the admin socket; the same two always may
    std::chrono::milliseconds drain_timeout{30'000}; ///< how long SIGTERM lets downloads go on
    std::uint32_t managers = 0;                      ///< to begin with; 0: one a core
    std::uint32_t max_managers = 0; ///< duplicates included; 0: 16, or twice `managers`, if that is more
    std::chrono::milliseconds duplicate_idle{60'000}; ///< a duplicate with nothing to do for so long ends
    /// Path of the admin socket; empty: none. Not set: admin_path_beside(listen).
    std::optional<std::string> admin;
    struct {
        log_level level = log_level::info;
        std::string transfers; ///< path of the transfer log; empty: none is written
    } log;
    struct {
        std::uint32_t descriptors = 0; ///< soft RLIMIT_NOFILE; 0: the hard one
        std::uint64_t tcp_memory = 0;  ///< bytes that the kernel may hold for clients; 0: by net.ipv4.tcp_mem
        engine::limit_table table;     ///< [limits] and each [class.NAME]
    } limits;
};

/// What is wrong with a configuration. what() has one line for each mistake, as "FILE:LINE: KEY: what is
/// wrong; what is allowed".
class configuration_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Reads TOML text; `file` is what messages call it. Strict: a key that is unknown, of another type or out of
/// range is a mistake, and all mistakes are reported at once. Throws configuration_error.
[[nodiscard]] configuration parse_configuration(std::string_view text, const std::string& file);

/// Reads a file. Throws configuration_error, also if it can't be read.
[[nodiscard]] configuration load_configuration(const std::string& file);

/// The configuration without a file: "www-data" may connect, where there is such a user.
[[nodiscard]] configuration default_configuration();

/// Where the admin socket is unless the configuration says: admin.sock in the folder of `listen`.
[[nodiscard]] std::string admin_path_beside(const std::string& listen);

/// What is wrong with a path to listen at, and what is allowed; empty if it is fine.
[[nodiscard]] std::string why_not_listen_at(std::string_view path);

} // namespace dlhandoff::service
