#pragma once

#include "dlmanagerd/manager/manager_channel.hpp"
#include "engine/event_loop.hpp"
#include "shared/board.hpp"
#include "shared/file_descriptor.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dlhandoff::service {

struct manager_post;

/// A manager as its supervisor sees it: a child process, the channel to it, and its place on the board, which
/// becomes vacant with this object. One thread, the loop's.
class manager_process final : public engine::event_handler {
  public:
    using clock = engine::clock;

    /// Starts one: forks, without exec, so the calling process must be single-threaded. The child keeps of
    /// its parent's descriptors the standard ones, the board and its end of the channel, works with `post`
    /// (whose channel is made here), and exits: for it this function does not return. `on_note` hears the
    /// manager. Throws std::system_error if there is no process or no descriptor left.
    manager_process(engine::event_loop& loop, manager_post post, manager_rank rank,
                    std::function<void(manager_process&, note)> on_note);
    ~manager_process();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] manager_status& status() const noexcept { return status_; }
    [[nodiscard]] manager_rank rank() const noexcept { return rank_; }
    /// By the board, but for one that was told to end: that is draining, whatever it says.
    [[nodiscard]] manager_state state() const noexcept;
    [[nodiscard]] bool was_told_to_end() const noexcept { return told_to_end_; }

    /// Passes a worker's connection on. would_block: the manager's channel is full for the moment; peer_gone:
    /// it is about to go, or gone.
    [[nodiscard]] send_result pass_on(int session, const ucred& peer);

    /// Asks for its part of an answer to an admin, to be written to `into`, which stays the caller's. False
    /// if it can't be asked now.
    [[nodiscard]] bool ask_to_report(int into);

    /// Orders that arrive sooner or later: while the manager's queue is full they wait here. retry() sends
    /// those, and says whether none is left.
    void reload();
    void drain(std::chrono::milliseconds most);
    void stop();
    bool retry();

    /// Whether the answer to reload() has not come yet.
    [[nodiscard]] bool owes_reload() const noexcept { return owes_reload_; }

    /// Since when it has had nothing to do, looked at now and before; nothing if it has.
    [[nodiscard]] std::optional<clock::time_point> idle_since(clock::time_point now) noexcept;
    /// Whether its heart has not beaten for a while.
    [[nodiscard]] bool hangs(clock::time_point now) const noexcept;

    void on_events(std::uint32_t events) override;

  private:
    void tell(const order& what);

    engine::event_loop& loop_;
    std::uint32_t index_;
    std::string name_;
    manager_status& status_;
    manager_rank rank_;
    std::function<void(manager_process&, note)> on_note_;
    file_descriptor channel_;
    received_message incoming_;
    std::vector<order> waiting_;
    pid_t pid_ = -1;
    bool told_to_end_ = false;
    bool owes_reload_ = false;
    std::optional<clock::time_point> idle_since_;
    std::uint64_t claims_seen_ = 0;
};

} // namespace dlhandoff::service
