#pragma once

#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/wire.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dlhandoff::httpd::test {

/// A directory of its own for a socket; removed with everything in it.
class socket_directory {
  public:
    socket_directory();
    ~socket_directory();
    socket_directory(const socket_directory&) = delete;
    socket_directory& operator=(const socket_directory&) = delete;
    [[nodiscard]] std::string socket_path() const { return path_ + "/manager.sock"; }

  private:
    std::string path_;
};

/// A manager, or a service of several, that speaks the protocol, sends nothing to any client, and misbehaves
/// as told. Runs on its own thread from its construction to its destruction, which closes its socket and all
/// connections. On the board all managers live, asleep, and have plenty of room, until a test says otherwise.
class fake_manager {
  public:
    enum class to_worker {
        greets,
        says_nothing,
        closes,             ///< the first connection without a word, and greets the next
        turns_away,         ///< for want of room
        greets_and_regrets, ///< the same, after the hello
        greets_in_another_version,
        brings_no_board,
        brings_another_board
    };
    enum class to_offer {
        claims,
        claims_late,        ///< after a while of `lateness`
        refuses,            ///< full
        stops,              ///< unnumbered, and closes all its connections
        refuses_unnumbered, ///< malformed, to offer 0
        hangs,              ///< until release()
        claims_and_hangs,   ///< until release()
        claims_and_closes,  ///< without an answer
        answers_and_closes, ///< having claimed
        answers_garbage,    ///< without a claim
        claims_and_answers_garbage
    };

    explicit fake_manager(const std::string& path, to_worker greeting = to_worker::greets,
                          std::uint32_t managers = 1);
    ~fake_manager();
    fake_manager(const fake_manager&) = delete;
    fake_manager& operator=(const fake_manager&) = delete;

    void set(to_offer reaction) {
        for (auto& one : reactions_)
            one = reaction;
    }
    void set(std::uint32_t manager, to_offer reaction) { reactions_[manager] = reaction; }
    /// Which manager takes the connections from now on.
    void pass_connections_to(std::uint32_t manager) { greeter_ = manager; }
    /// How connections are greeted from now on.
    void set_greeting(to_worker greeting) { greeting_ = greeting; }
    [[nodiscard]] manager_status& status(std::uint32_t manager) { return board_.manager(manager); }
    /// Closes all connections of one manager.
    void hang_up(std::uint32_t manager);
    /// Offers that a manager has received.
    [[nodiscard]] std::size_t offers_to(std::uint32_t manager) const { return offers_to_[manager]; }
    /// For claims_late: a pseudo-random time up to this.
    void set_lateness(std::chrono::microseconds most) { lateness_ = most; }
    /// Goes on with what hangs: greets, tries to claim, answers.
    void release();

    /// Connections accepted since it started.
    [[nodiscard]] std::size_t connections() const { return accepted_; }
    /// Of these, those that are open now; falls a moment after one is closed.
    [[nodiscard]] std::size_t open_connections() const { return open_; }
    /// Offers received.
    [[nodiscard]] std::size_t offers() const { return offers_; }
    /// Descriptors that came with the last offer.
    [[nodiscard]] std::size_t descriptors() const { return descriptors_; }
    /// By ticket (slot, sequence): whether this manager's claim won.
    [[nodiscard]] std::map<std::pair<std::uint32_t, std::uint64_t>, bool> claims() const;

  private:
    struct session {
        file_descriptor socket;
        std::uint32_t manager = 0;
        std::uint32_t slot = 0;
        std::uint64_t hanging = 0; ///< the offer that waits for release(); 0: none
        bool claimed = false;
        bool greeted = false;
    };
    void run();
    void accept_one();
    void greet(session& worker);
    /// False: the connection is to be closed.
    bool take_offer(session& worker);
    bool claim(const session& worker, std::uint64_t sequence);

    board board_;
    file_descriptor listener_;
    file_descriptor wake_;
    std::atomic<to_worker> greeting_;
    static constexpr std::size_t most_here = 4;
    std::array<std::atomic<to_offer>, most_here> reactions_{};
    std::array<std::atomic<std::size_t>, most_here> offers_to_{};
    std::atomic<std::uint32_t> greeter_{0};
    std::atomic<std::int64_t> hanging_up_{-1};
    std::atomic<std::chrono::microseconds> lateness_{};
    std::atomic<bool> ending_{false};
    std::atomic<bool> releasing_{false};
    std::atomic<std::size_t> accepted_{0};
    std::atomic<std::size_t> open_{0};
    std::atomic<std::size_t> offers_{0};
    std::atomic<std::size_t> descriptors_{0};
    std::vector<std::unique_ptr<session>> sessions_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, bool> claims_; ///< guarded by mutex_
    std::uint32_t random_ = 1;
    std::thread thread_;
};

} // namespace dlhandoff::httpd::test
