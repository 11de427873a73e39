#pragma once

#include "dlmanagerd/command_line.hpp"
#include "dlmanagerd/configuration.hpp"
#include "dlmanagerd/engine/engine.hpp"
#include "dlmanagerd/engine/event_loop.hpp"
#include "dlmanagerd/signal_source.hpp"
#include "dlmanagerd/worker_sessions.hpp"
#include "shared/board.hpp"

#include <string>

namespace dlhandoff::service {

/// A download manager: one process with one event loop, its engine, board, socket and sessions.
///
/// TERM stops listening and lets downloads end, up to drain_timeout; INT and QUIT end them at once; HUP reads
/// the configuration again and reopens the transfer log.
class manager {
  public:
    /// Listens when it returns. Throws std::runtime_error (and std::system_error) that says what is in the
    /// way.
    manager(command_line asked, configuration settings);

    /// Works until a signal ends it.
    void run();

  private:
    void on_signal(int number);
    void drain(int number);
    void reload();
    /// The limit of descriptors that is in force then.
    std::uint64_t apply_descriptor_limit();
    [[nodiscard]] engine::return_policy return_policy_of(const configuration& settings);
    [[nodiscard]] engine::clock::time_point next_deadline() const noexcept;
    [[nodiscard]] bool finished() const noexcept;

    command_line asked_;
    configuration settings_;
    engine::event_loop loop_;
    signal_source signals_; ///< before the engine, whose threads inherit the blocked signals
    board board_;
    engine::engine engine_;
    worker_sessions sessions_;
    log_throttle return_failed_;
    bool draining_ = false;
    engine::clock::time_point drain_deadline_ = engine::clock::time_point::max();
};

} // namespace dlhandoff::service
