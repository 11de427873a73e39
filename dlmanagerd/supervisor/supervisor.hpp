#pragma once

#include "dlmanagerd/admin/admin_socket.hpp"
#include "dlmanagerd/configuration/command_line.hpp"
#include "dlmanagerd/configuration/configuration.hpp"
#include "dlmanagerd/log_throttle.hpp"
#include "dlmanagerd/signal_source.hpp"
#include "dlmanagerd/supervisor/manager_process.hpp"
#include "dlmanagerd/supervisor/restart_pause.hpp"
#include "dlmanagerd/supervisor/session_dispatch.hpp"
#include "engine/event_loop.hpp"
#include "engine/limits/ledger.hpp"
#include "shared/board.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dlhandoff::service {

/// The service's first process: it holds the listening socket and the board, and keeps managers: a number of
/// base managers always, duplicates while those have no room. It forks them and never touches a served byte.
///
/// A manager that dies is started again (restart_pause); what it sent is lost. TERM stops listening and lets
/// downloads end, up to drain_timeout; so does an admin who asks to drain, without a limit; INT and QUIT end
/// them at once; HUP has all read the configuration again and reopen the transfer log. Managers mind no
/// signal: the supervisor tells them.
///
/// One thread, and no other in the process, since it forks.
class supervisor {
  public:
    /// Listens when it returns. Throws std::runtime_error (and std::system_error) that says what is in the
    /// way.
    supervisor(command_line asked, configuration settings);

    /// Works until a signal ends it and every manager has ended. In a manager's process it does not return.
    void run();

  private:
    using clock = engine::clock;

    /// A place on the board, and in the names: m1, m2 and so on.
    struct place {
        std::unique_ptr<manager_process> process; ///< none: vacant
        restart_pause pause;
        bool base = false; ///< for a base manager, vacant or not
    };

    void on_signal(int number);
    void reap();
    void bury(place& dead, int status);
    void tend();
    void start_base_managers();
    void start_duplicate();
    bool start(place& where, manager_rank rank);
    [[nodiscard]] bool needs_duplicate(const place* without = nullptr) const noexcept;
    void end_unused_duplicates();
    void end(const std::string& why, std::optional<std::chrono::milliseconds> most);
    void reload();
    void conclude_reload();
    [[nodiscard]] bool must_look_for_hung() const noexcept;
    [[nodiscard]] std::uint64_t active() const noexcept;
    [[nodiscard]] clock::time_point next_deadline() const noexcept;
    [[nodiscard]] std::uint32_t processes() const noexcept;
    void warn_about_root() const;
    void listen_for_admin();

    command_line asked_;
    configuration settings_;
    std::uint32_t base_managers_;
    engine::event_loop loop_;
    signal_source signals_;
    board board_;
    engine::ledger ledger_; ///< of the limits, among managers
    std::vector<place> places_;
    std::optional<session_dispatch> dispatch_; ///< none once it ends
    std::optional<admin_socket> admin_;        ///< likewise, and none if none is wanted
    bool announced_ = false;                   ///< has said that it is ready
    bool orders_wait_ = false;                 ///< an order could not be sent yet
    std::optional<uid_t> drain_for_;           ///< the user who has asked to drain
    bool ending_ = false;
    clock::time_point kill_at_ = clock::time_point::max(); ///< who has not ended then is killed
    std::optional<clock::time_point> reloading_until_;
    clock::time_point look_at_duplicates_ = clock::time_point::max();
    log_throttle all_full_;
};

} // namespace dlhandoff::service
