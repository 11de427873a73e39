#pragma once

#include "dlmanagerd/listening_socket.hpp"
#include "dlmanagerd/log_throttle.hpp"
#include "dlmanagerd/worker_session.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dlhandoff::service {

/// All connections from httpd's workers: accepts them, checks who they are (SO_PEERCRED), and gives each a
/// ticket slot. One thread, the loop's.
///
/// A worker that can't be taken (not allowed, no slot, no descriptor left) is disconnected at once, so that
/// it serves itself without waiting for a hello.
class worker_sessions final : public engine::event_handler, private session_owner {
  public:
    /// Begins to accept. `name`: the manager's. References must outlive this. Throws std::system_error.
    worker_sessions(engine::event_loop& loop, engine::engine& engine, const board& tickets, std::string name,
                    std::unique_ptr<listening_socket> listener, std::vector<uid_t> allowed);
    ~worker_sessions();

    /// Who may connect from now on; those connected who may not any more are disconnected.
    void allow(std::vector<uid_t> users);

    /// Stops listening (another manager may then listen at the path) and disconnects all workers.
    void stop();

    /// Does what is due at next_deadline(): listens again after a pause.
    void run_due();
    [[nodiscard]] engine::clock::time_point next_deadline() const noexcept;

    void on_events(std::uint32_t events) override;

  private:
    void on_end(worker_session& ended) override;
    void on_refusal(const worker_session& by, refusal reason) override;

    void admit(file_descriptor socket);
    void turn_away_one();
    void pause();
    [[nodiscard]] bool may_connect(uid_t user) const;
    [[nodiscard]] std::optional<std::uint32_t> take_slot();

    engine::event_loop& loop_;
    const board& tickets_;
    std::string name_;
    std::unique_ptr<listening_socket> listener_; ///< none after stop()
    std::vector<uid_t> allowed_;
    received_message incoming_;
    session_surroundings surroundings_;
    std::vector<std::unique_ptr<worker_session>> sessions_; ///< by slot
    std::vector<std::uint32_t> free_slots_;                 ///< those of sessions_ that are vacant
    file_descriptor reserve_; ///< given up to be able to turn somebody away at the descriptor limit
    std::optional<engine::clock::time_point> paused_until_;
    log_throttle no_descriptor_;
    log_throttle no_slot_;
    log_throttle not_allowed_;
    log_throttle bad_offer_;
};

} // namespace dlhandoff::service
