#pragma once

#include "dlmanagerd/log_throttle.hpp"
#include "dlmanagerd/manager/worker_session.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dlhandoff::service {

/// A manager's connections from httpd's workers, which the supervisor has accepted and passed on. Each has a
/// ticket slot from the manager's range of the board. One thread, the loop's.
class worker_sessions final : private session_owner {
  public:
    /// `index`: the manager's place on the board; `name`: in logs. `room` says whether another transfer may
    /// begin. References must outlive this.
    worker_sessions(engine::event_loop& loop, engine::engine& engine, const board& the_board,
                    std::uint32_t index, std::string name, std::vector<uid_t> allowed,
                    std::function<bool()> room);
    ~worker_sessions();

    /// Takes a connection over, that counts on the board already, and says hello. A worker that can't be
    /// taken (not allowed any more, no slot) is disconnected, so that it serves itself without waiting.
    void admit(file_descriptor socket, const ucred& peer);

    /// Says in place of a hello that there is no room for this connection, which counts on the board already,
    /// and ends it.
    void turn_away(const file_descriptor& socket);

    /// Those connected who may not be any more are disconnected.
    void allow(std::vector<uid_t> users);

    /// Disconnects up to `count` workers that have not been heard of for `silent`, those first that were
    /// heard of longest ago, but none that waits for an answer, or has connected just now to make an offer.
    /// They connect again when they have another one.
    void close_unused(std::size_t count, engine::clock::duration silent);

    /// Disconnects all workers, and takes no more.
    void stop();

    [[nodiscard]] std::size_t size() const noexcept { return sessions_.size() - free_slots_.size(); }

  private:
    void on_end(worker_session& ended) override;
    void on_refusal(const worker_session& by, refusal reason) override;
    [[nodiscard]] bool has_room() override { return room_(); }

    [[nodiscard]] std::optional<std::uint32_t> take_slot();
    [[nodiscard]] manager_counters& counters() const noexcept { return surroundings_.counters; }

    engine::event_loop& loop_;
    const board& board_;
    std::uint32_t index_;
    std::string name_;
    std::vector<uid_t> allowed_;
    std::function<bool()> room_;
    received_message incoming_;
    session_surroundings surroundings_;
    std::vector<std::unique_ptr<worker_session>> sessions_; ///< by slot, from the manager's first on
    std::vector<std::uint32_t> free_slots_;                 ///< those of sessions_ that are vacant
    bool stopped_ = false;
    log_throttle no_slot_;
    log_throttle bad_offer_;
};

} // namespace dlhandoff::service
