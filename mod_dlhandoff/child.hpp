#pragma once

#include "mod_dlhandoff/detach.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/embedded_manager.hpp"
#include "mod_dlhandoff/handoff_result.hpp"
#include "mod_dlhandoff/manager_client.hpp"

#include <httpd.h>

#include <chrono>
#include <memory>
#include <optional>

namespace dlhandoff::httpd {

/// What an httpd child has of this module: its manager, or its way to it, and the socket to detach with. Made
/// in child_init, stays until the process ends, since threads of the MPM may live as long.
class child {
  public:
    /// This process's; nullptr if there was no memory for it.
    [[nodiscard]] static child* current() noexcept;

    /// Hook child_init: makes this process's. Without it, httpd serves all downloads of this process itself.
    static void make(apr_pool_t* pchild, server_rec* main_server) noexcept;

    [[nodiscard]] const server_config& config() const noexcept { return config_; }

    /// Offers a response to the manager; after a claim httpd has let go of the client. Any thread.
    /// Throws std::bad_alloc, and then nothing has happened.
    [[nodiscard]] handoff_result hand_off(conn_rec* c, offer offered, std::span<const int> descriptors);

    /// When a client for whose download there is no room may ask again: by then some of those that wait now
    /// have had their turns, or have been sent away.
    [[nodiscard]] std::chrono::milliseconds retry_after();

  private:
    explicit child(const server_config& config);

    const server_config& config_;
    const dead_socket dead_;
    std::optional<manager_client> service_;
    std::optional<embedded_manager> embedded_;
};

} // namespace dlhandoff::httpd
