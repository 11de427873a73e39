#pragma once

#include "mod_dlhandoff/handover.hpp"
#include "mod_dlhandoff/manager_connection.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace dlhandoff::httpd {

/// Makes offers to the service (dlmanagerd), from any thread: a pool of connections, one for each offer under
/// way.
///
/// A call waits at most for the claim time-out, connecting included, and less when there is nothing to hope
/// for:
/// - Nobody listens, or somebody of another version: for 250 ms no call tries again.
/// - A manager owes an answer (or its hello) whose time was up: until it comes, or the connection ends, no
/// call waits.
///
/// Belongs to one process: made after fork(). Knows nothing of httpd; throws only std::bad_alloc, and then
/// nothing was claimed.
class manager_client {
  public:
    using clock = manager_connection::clock;

    /// How long a manager that is down is left alone.
    static constexpr std::chrono::milliseconds pause{250};

    manager_client(std::string path, std::chrono::microseconds claim_timeout);

    /// Offers a response; sets its ticket. `descriptors` (client, then files) stay the caller's.
    [[nodiscard]] handover hand_over(offer& offered, std::span<const int> descriptors);

  private:
    using connection = std::unique_ptr<manager_connection>;
    using connections = std::vector<connection>;

    [[nodiscard]] bool manager_owes_an_answer();
    [[nodiscard]] connection take_idle();
    [[nodiscard]] std::variant<connection, handover> connect_anew(clock::time_point deadline);
    void put_back(connection used) noexcept;

    const std::string path_;
    const std::chrono::microseconds claim_timeout_;

    std::mutex mutex_; ///< guards all that follows; never held while waiting
    connections idle_;
    connections suspects_; ///< those that owe an answer or a hello
    clock::time_point paused_until_{};
    handover pause_reason_;
};

} // namespace dlhandoff::httpd
