#pragma once

#include "mod_dlhandoff/handoff_result.hpp"
#include "mod_dlhandoff/manager_connection.hpp"
#include "shared/manager_choice.hpp"
#include "shared/offer.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace dlhandoff::httpd {

/// Makes offers to the service (dlmanagerd), from any thread: a pool of connections to each of its managers,
/// one for each offer under way. The board says which manager an offer goes to (choose_manager).
///
/// A call waits at most for the claim time-out, connecting included, and less when there is nothing to hope
/// for:
/// - Nobody listens, or somebody of another version: for 250 ms no call tries again.
/// - A manager owes an answer whose time was up: until it comes, or the connection ends, offers go to the
///   others, and if there is none, no call waits.
/// - A hello is owed: for two seconds no call connects.
/// - All managers are full, or the one that a connection was passed to is.
///
/// A manager that refuses for want of room, ends, dies, or whose heartbeat stops while it is waited for,
/// costs one more try with another one, if that is fresh.
///
/// Belongs to one process: made after fork(). Knows nothing of httpd; throws only std::bad_alloc, and then
/// nothing was claimed.
class manager_client {
  public:
    using clock = manager_connection::clock;

    /// How long a service that is down is left alone.
    static constexpr std::chrono::milliseconds pause{250};
    /// How long a hello that doesn't come keeps others from connecting: one worker at a time finds out.
    static constexpr std::chrono::seconds hello_pause{2};

    manager_client(std::string path, std::chrono::microseconds claim_timeout);

    /// Offers a response; sets its ticket. `descriptors` (client, then files) stay the caller's.
    [[nodiscard]] handoff_result hand_off(offer& offered, std::span<const int> descriptors);

    /// How long a request may wait in the service's queue. Nothing if that is not known yet.
    [[nodiscard]] std::optional<std::chrono::milliseconds> queue_timeout();

  private:
    using connection = std::unique_ptr<manager_connection>;
    using connections = std::vector<connection>;
    using shared_board = manager_connection::shared_board;
    /// A connection that is ready for an offer, or why there is none.
    struct found {
        connection ready{};
        bool anew = false; ///< made for this offer
        handoff_result failure{};
    };

    [[nodiscard]] found find_connection(clock::time_point deadline, const manager_set& except);
    [[nodiscard]] std::optional<handoff_result>
    decline_without_asking(const std::optional<manager_choice>& best, const manager_set& owing,
                           clock::time_point now) const;
    [[nodiscard]] std::variant<connection, handoff_result> connect_anew(clock::time_point deadline,
                                                                        const shared_board& known);
    [[nodiscard]] manager_set settle_suspects();
    [[nodiscard]] bool may_owe_another_hello(clock::time_point now);
    void drop_the_dead();
    [[nodiscard]] connection take_idle(std::uint32_t manager);
    [[nodiscard]] connection take_any_idle(clock::time_point now, const manager_set& except);
    void take_board_of(manager_connection& fresh);
    void put_back(connection used) noexcept;
    void put_back_locked(connection used);

    const std::string path_;
    const std::chrono::microseconds claim_timeout_;

    std::mutex mutex_;                            ///< guards all that follows; never held while waiting
    shared_board board_;                          ///< of the service that greeted last
    std::array<connections, most_managers> idle_; ///< by the manager's place on that board
    connections suspects_;                        ///< those that owe an answer or a hello, of any board
    clock::time_point paused_until_{};
    handoff_result pause_reason_;
    clock::time_point hello_owed_until_{}; ///< no call connects before, if a suspect owes its hello
};

} // namespace dlhandoff::httpd
