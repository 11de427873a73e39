#pragma once

#include "dlmanagerd/admin/admin_report.hpp"
#include "dlmanagerd/configuration/command_line.hpp"
#include "dlmanagerd/configuration/configuration.hpp"
#include "dlmanagerd/manager/descriptor_room.hpp"
#include "dlmanagerd/manager/manager_channel.hpp"
#include "dlmanagerd/manager/throughput.hpp"
#include "dlmanagerd/manager/worker_sessions.hpp"
#include "dlmanagerd/signal_source.hpp"
#include "engine/engine.hpp"
#include "engine/event_loop.hpp"
#include "shared/board.hpp"

#include <optional>
#include <string>

namespace dlhandoff::service {

/// What a manager is given by the supervisor.
struct manager_post {
    std::uint32_t index = 0;       ///< its place on the board
    std::string name;              ///< "m1"
    file_descriptor channel;       ///< to the supervisor
    const dlhandoff::board& board; ///< the supervisor's, which the process has inherited, as is the next
    const engine::ledger& ledger;  ///< what all managers use of the limits
    command_line asked;
    configuration settings;
};

/// A download manager: one process with one event loop, its engine and its sessions with httpd's workers. It
/// does what the supervisor tells it over the channel (manager_channel.hpp), and ignores signals. Its facts
/// are on the board.
///
/// When the supervisor is gone, it finishes what it has, without a time limit, and ends; then it minds TERM,
/// INT and QUIT itself, since nobody else is left to tell it.
class manager final : private engine::event_handler {
  public:
    /// Throws std::system_error.
    explicit manager(manager_post post);
    ~manager();

    /// Works until it is told to end, or the supervisor is gone and nothing is left to do.
    void run();

  private:
    void on_events(std::uint32_t events) override;
    void obey(received_order what);
    void drain(std::optional<std::chrono::milliseconds> most);
    void stop();
    void reload();
    void go_on_alone();
    void go_on_with_report();
    void publish_limits();
    void count_fixed_descriptors();
    void share_memory();
    void update_room();
    void make_room();
    void admit(received_order session);
    void publish();
    void tell_supervisor(note what);
    [[nodiscard]] engine::return_policy return_policy_of(const configuration& settings);
    [[nodiscard]] engine::clock::time_point next_deadline() const noexcept;
    [[nodiscard]] bool may_sleep() const noexcept;
    [[nodiscard]] bool finished() const noexcept;

    manager_post post_;
    manager_status& status_;
    configuration& settings_;
    engine::event_loop loop_;
    engine::engine engine_;
    descriptor_room room_;
    throughput throughput_;
    std::optional<admin_report> report_; ///< on its way to an admin
    worker_sessions sessions_;
    received_message incoming_;
    std::optional<signal_source> signals_; ///< once the supervisor is gone
    std::uint64_t fixed_descriptors_ = 0;  ///< those that are neither sessions' nor the engine's
    engine::clock::time_point next_thinning_{};
    engine::clock::time_point share_memory_at_{};
    log_throttle return_failed_;
    log_throttle file_failed_;
    bool draining_ = false;
    engine::clock::time_point drain_deadline_ = engine::clock::time_point::max();
};

} // namespace dlhandoff::service
