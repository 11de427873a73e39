#pragma once

#include "engine/client/connection_return.hpp"
#include "engine/deadline_heap.hpp"
#include "engine/event_loop.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace dlhandoff::engine {

/// Connections whose response is sent and which have promised keep-alive: each waits for its client's next
/// request, without reading it, and then returns to httpd. A connection that the client closes is closed. One
/// whose time is up, or that httpd does not take back, is ended so that the client sees an end of file, not a
/// reset.
///
///     waiting ──next request──> returning ──> gone
///        └──time is up──> leaving <──httpd has stopped──┘
///
/// A manager that is ending also keeps them until their time is up: a client may be sending its next request
/// on any of them, and would get no answer (RFC 9112, 9.6). Returning all of them at once would be too much
/// for httpd, since some of its MPMs need a worker for each.
///
/// One thread, the loop's.
class idle_connections {
  public:
    /// The longest time for which input of an ended connection is read and dropped (RFC 9112, 9.6), unless
    /// the client closes.
    static constexpr std::chrono::seconds linger{2};

    /// At most `most` wait at the same time; beyond that, the one with the least time left is closed. 0: no
    /// bound.
    idle_connections(event_loop& loop, return_policy policy, std::size_t most);
    ~idle_connections();
    idle_connections(const idle_connections&) = delete;
    idle_connections& operator=(const idle_connections&) = delete;

    /// Takes over a connection that `before` has watched in the loop until now. `back` must have a path. If
    /// there is no memory, the connection is closed.
    void take(file_descriptor client, const return_terms& back, event_handler& before) noexcept;

    /// Ends the connections whose time is up, and tries again to return those that httpd was too busy to
    /// take.
    void run_due();
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// Closes up to `count` of those that wait, those with the least time left first; for when descriptors
    /// run out. False if none waits.
    bool close_waiting(std::size_t count);
    void close_all() noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return waiting_.size() + going_.size(); }

    void set_policy(return_policy policy) { policy_ = std::move(policy); }
    void set_most(std::size_t most) noexcept { most_ = most; }

  private:
    class connection;
    [[nodiscard]] deadline_heap<connection>& heap_of(const connection& one) noexcept;
    void close(connection& one) noexcept;
    [[nodiscard]] std::shared_ptr<const std::string> shared_path(std::string_view path);

    event_loop& loop_;
    return_policy policy_;
    std::size_t most_;
    std::shared_ptr<const std::string> last_path_; ///< nearly always the one that all connections share
    deadline_heap<connection> waiting_;
    deadline_heap<connection> going_; ///< those that return or leave
};

} // namespace dlhandoff::engine
