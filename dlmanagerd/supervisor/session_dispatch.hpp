#pragma once

#include "dlmanagerd/listening_socket.hpp"
#include "dlmanagerd/log_throttle.hpp"
#include "engine/event_loop.hpp"
#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/manager_choice.hpp"

#include <functional>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace dlhandoff::service {

/// Where httpd's workers connect: accepts, checks who they are (SO_PEERCRED), and passes each connection to
/// the manager that is the best choice by the board. One thread, the loop's.
///
/// A worker that can't be taken (not allowed, no manager, no descriptor left) is disconnected at once, so
/// that it serves itself without waiting for a hello. A manager's channel holds few connections (unix(7):
/// net.unix.max_dgram_qlen, 10), so one that finds them all full waits for them, and the next ones wait
/// behind it; only managers that take none for as long as `patience` cost a worker its connection.
class session_dispatch final : public engine::event_handler {
  public:
    /// Gives a connection to a manager, by its place on the board; would_block: it may take it later.
    using pass_on = std::function<send_result(std::uint32_t manager, int session, const ucred& peer)>;

    /// Listens. References must outlive this. Throws as listening_socket does, and std::system_error.
    session_dispatch(engine::event_loop& loop, const board& the_board, const std::string& path,
                     std::vector<uid_t> allowed, pass_on pass,
                     engine::clock::duration patience = heartbeat_limit);
    /// Stops listening: another service may then listen at the path.
    ~session_dispatch();

    /// Who may connect from now on.
    void allow(std::vector<uid_t> users) { allowed_ = std::move(users); }

    /// Does what is due at next_deadline(): passes on what waits, listens again after a pause.
    void run_due();
    [[nodiscard]] engine::clock::time_point next_deadline() const noexcept;

    void on_events(std::uint32_t events) override;

  private:
    struct session {
        file_descriptor socket;
        ucred peer;
    };

    void admit(file_descriptor socket);
    void pass_or_keep(session one);
    [[nodiscard]] send_result pass_to_best(const session& one);
    void turn_away_one();
    void pause(engine::clock::duration length);

    engine::event_loop& loop_;
    const board& board_;
    listening_socket listener_;
    std::vector<uid_t> allowed_;
    pass_on pass_;
    engine::clock::duration patience_;
    file_descriptor reserve_; ///< given up to be able to turn somebody away at the descriptor limit
    std::optional<engine::clock::time_point> paused_until_;
    std::optional<session> kept_; ///< until a manager takes it; meanwhile it is paused
    std::optional<engine::clock::time_point> busy_since_; ///< all managers' channels have been full since
    log_throttle no_descriptor_;
    log_throttle no_manager_;
    log_throttle not_allowed_;
};

} // namespace dlhandoff::service
