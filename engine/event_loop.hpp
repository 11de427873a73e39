#pragma once

#include "engine/clock.hpp"
#include "shared/file_descriptor.hpp"

#include <array>
#include <cstdint>
#include <sys/epoll.h>

namespace dlhandoff::engine {

/// What an event_loop calls. A handler may be removed, and destroyed, at any time on the loop's thread, even
/// from within its own or another handler's call.
class event_handler {
  public:
    event_handler() = default;
    event_handler(const event_handler&) = delete;
    event_handler& operator=(const event_handler&) = delete;
    /// `events` as in epoll_ctl(2): EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP.
    virtual void on_events(std::uint32_t events) = 0;

  protected:
    ~event_handler() = default;
};

/// epoll(7) for one thread.
class event_loop {
  public:
    /// Throws std::system_error.
    event_loop();

    /// Watches the descriptor `number` for `events` (the caller adds EPOLLET and other flags). The handler
    /// must stay until remove(). False, with errno set, if the kernel refuses (ENOMEM, ENOSPC:
    /// fs.epoll.max_user_watches).
    [[nodiscard]] bool add(int number, std::uint32_t events, event_handler& handler) noexcept;

    /// Stops watching, and drops events of this handler that have already been fetched. Always call it before
    /// close(): if another process holds the descriptor too, it would go on reporting.
    void remove(int number, event_handler& handler) noexcept;

    /// From now on, events of `number` go to `to` instead of `from`. False, with errno set, as with add().
    [[nodiscard]] bool pass_on(int number, std::uint32_t events, event_handler& from,
                               event_handler& to) noexcept;

    /// Waits for events until `deadline` at the latest (not at all if it has passed), and calls their
    /// handlers.
    void run_once(clock::time_point deadline);

    /// The time when the last wait ended: what handlers use as "now".
    [[nodiscard]] clock::time_point now() const noexcept { return now_; }

  private:
    void drop_fetched(const event_handler& handler) noexcept;

    file_descriptor epoll_;
    std::array<epoll_event, 256> fetched_{};
    int fetched_count_ = 0;
    int next_ = 0;
    clock::time_point now_;
};

/// An eventfd(2) that wakes a loop from another thread or from a signal handler.
class wake_up final : public event_handler {
  public:
    /// `call` runs on the loop's thread after one or more notify(). Throws std::system_error.
    wake_up(event_loop& loop, void (*call)(void*), void* argument);
    ~wake_up();
    /// From any thread, and async-signal-safe.
    void notify() const noexcept;
    void on_events(std::uint32_t events) override;

  private:
    event_loop& loop_;
    file_descriptor counter_;
    void (*call_)(void*);
    void* argument_;
};

} // namespace dlhandoff::engine
