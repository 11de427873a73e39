#pragma once

#include "engine/engine.hpp"
#include "engine/event_loop.hpp"
#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/wire.hpp"

#include <cstdint>
#include <sys/socket.h>
#include <sys/types.h>

namespace dlhandoff::service {

class worker_session;

/// Who keeps sessions, and hears from them.
class session_owner {
  public:
    /// The session is over: destroy it.
    virtual void on_end(worker_session& ended) = 0;
    /// It has refused an offer; the worker serves that response itself.
    virtual void on_refusal(const worker_session& by, refusal reason) = 0;
    /// Whether another transfer may begin.
    [[nodiscard]] virtual bool has_room() = 0;

  protected:
    ~session_owner() = default;
};

/// What all sessions of a manager share.
struct session_surroundings {
    engine::event_loop& loop;
    engine::engine& engine;
    const dlhandoff::board& board;
    manager_counters& counters; ///< the manager's own
    received_message& incoming; ///< where every session receives: one buffer, since one thread does
    session_owner& owner;
};

/// One connection from an httpd worker: takes its offers, and answers each. One thread, the loop's.
///
/// A bad message costs its sender a refusal, never the session. A session ends when the worker closes it, or
/// when an answer can't be sent: the worker, which then reads an end of file instead of an answer, knows that
/// nothing was sent to the client.
class worker_session final : public engine::event_handler {
  public:
    /// `peer`: SO_PEERCRED's. `slot`: on the board, this session's alone. References must outlive the
    /// session.
    worker_session(const session_surroundings& shared, file_descriptor socket, const ucred& peer,
                   std::uint32_t slot);
    ~worker_session();

    /// Says hello and begins to listen. False if that fails: then destroy the session. (The worker is told
    /// `full` if too many descriptors are under way, ETOOMANYREFS in unix(7).)
    [[nodiscard]] bool start(const hello& greeting);

    void on_events(std::uint32_t events) override;

    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
    [[nodiscard]] uid_t user() const noexcept { return user_; }
    [[nodiscard]] pid_t process() const noexcept { return process_; }
    /// When its last message came; at first, when it began.
    [[nodiscard]] engine::clock::time_point last_used() const noexcept { return last_used_; }
    /// Whether a message has ever come.
    [[nodiscard]] bool has_made_offer() const noexcept { return has_made_offer_; }
    /// Whether a message waits to be received: a system call.
    [[nodiscard]] bool has_input() const noexcept;
    /// From now on the worker can't send, and knows that it did not; if it has never made an offer it is told
    /// `why`. False if a message has come before: it will be answered, and then the session ends.
    [[nodiscard]] bool stop_listening(refusal why) noexcept;
    /// The same, but a message that has come before is answered with `why`, unread: destroy the session.
    void dismiss(refusal why) noexcept;

  private:
    /// The next message, from its checks to its answer. False if the session must end.
    [[nodiscard]] bool take_message();
    void guard_keys() noexcept;
    void wipe_message() noexcept;
    [[nodiscard]] bool take_offer(offer offered);
    [[nodiscard]] bool refuse(refusal reason, std::uint64_t sequence);
    [[nodiscard]] bool send(const answer& value) const;

    const session_surroundings& shared_;
    file_descriptor socket_;
    uid_t user_;
    pid_t process_;
    std::uint32_t slot_;
    engine::clock::time_point last_used_;
    bool has_made_offer_ = false;
};

} // namespace dlhandoff::service
