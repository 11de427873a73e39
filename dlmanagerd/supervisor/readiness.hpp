#pragma once

#include <chrono>

/// What a service tells the manager of services that started it (sd_notify(3)). Nothing happens without one,
/// or in a build without libsystemd.
namespace dlhandoff::service {

/// Whether this build can.
[[nodiscard]] bool can_notify() noexcept;

void notify_ready();
void notify_reloading();
/// Stopping, which takes `at_most` if all goes well: without this word systemd would kill after its own
/// time-out.
void notify_stopping(std::chrono::milliseconds at_most);

} // namespace dlhandoff::service
