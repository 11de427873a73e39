#pragma once

#include "mod_dlhandoff/handoff_result.hpp"
#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

namespace dlhandoff::httpd {

/// One connection to one of the service's managers, with its ticket slot on the service's board: one offer at
/// a time.
///
/// One thread at a time. No call waits longer than the deadline that it is given. Knows nothing of httpd;
/// throws only std::bad_alloc.
class manager_connection {
  public:
    using clock = std::chrono::steady_clock;
    using shared_board = std::shared_ptr<const board>;

    /// Looks at the board while an answer is waited for, so that a manager that hangs does not cost the whole
    /// time.
    class watch {
      public:
        /// When to look next.
        [[nodiscard]] virtual clock::time_point next_look(clock::time_point now) = 0;
        /// Whether the offer had better be taken back, to be made to somebody else.
        [[nodiscard]] virtual bool gives_up(clock::time_point now) = 0;

      protected:
        ~watch() = default;
    };

    enum class state {
        awaiting_hello,  ///< connected; the manager has not spoken yet
        idle,            ///< ready for an offer
        awaiting_answer, ///< an offer's time is up, and its answer has not come yet
        broken           ///< of no use any more
    };

    /// Connects to the service's socket, without waiting.
    [[nodiscard]] static std::variant<std::unique_ptr<manager_connection>, handoff_result>
    connect(const std::string& path);

    /// Waits for the manager's hello and takes the board that comes with it: `known`, if it is that one, or a
    /// mapping of its own. nullopt: the connection is idle now. A manager without room says so instead.
    [[nodiscard]] std::optional<handoff_result> await_hello(clock::time_point deadline,
                                                            const shared_board& known);

    /// Makes an offer and waits for the answer; afterwards now() says what the connection is good for. An
    /// offer that `looking` (may be null) gave up is declined as timed out, before the deadline. nullopt: the
    /// manager had already closed this connection without an answer, and nothing was sent. The connection
    /// must be idle.
    [[nodiscard]] std::optional<handoff_result> hand_off(offer& offered, std::span<const int> descriptors,
                                                         clock::time_point deadline,
                                                         watch* looking = nullptr);

    /// Looks, without waiting, whether what the connection waits for has come.
    state settle(const shared_board& known);

    [[nodiscard]] state now() const noexcept { return state_; }

    /// Once there was a hello: the board, the manager's place there, and its process.
    [[nodiscard]] const shared_board& the_board() const noexcept { return board_; }
    /// Another mapping of the same board (its epoch says so) takes the place of this one.
    void share(const shared_board& same) noexcept { board_ = same; }
    [[nodiscard]] std::uint32_t manager() const noexcept { return manager_; }
    /// Whether that manager still has its place, and takes offers.
    [[nodiscard]] bool manager_lives() const noexcept;

  private:
    explicit manager_connection(file_descriptor socket) noexcept : socket_(std::move(socket)) {}

    struct heard {
        enum class what {
            nothing,
            claimed,
            refused,
            timed_out, ///< the offer is revoked
            lost,      ///< the connection has ended
            garbled    ///< a message that is no answer
        };
        what said = what::nothing;
        refusal reason = refusal::malformed;
    };
    [[nodiscard]] bool wait(clock::time_point deadline) const noexcept;
    [[nodiscard]] receive_result receive();
    [[nodiscard]] std::optional<handoff_result> take_hello(const shared_board& known);
    [[nodiscard]] heard hear_answer();
    [[nodiscard]] std::optional<std::uint64_t> next_ticket(ticket_slot& slot) const noexcept;
    [[nodiscard]] std::optional<handoff_result> last_word(clock::time_point deadline);
    [[nodiscard]] heard await_answer(ticket_slot& slot, clock::time_point deadline, watch* looking) noexcept;
    [[nodiscard]] handoff_result conclude(const heard& last, ticket_slot& slot) noexcept;

    file_descriptor socket_;
    shared_board board_;
    std::uint32_t manager_ = 0;
    std::uint32_t process_ = 0;
    std::uint32_t slot_ = 0;
    std::uint64_t sequence_ = 0; ///< of the last offer in the slot
    state state_ = state::awaiting_hello;
    received_message message_;
};

} // namespace dlhandoff::httpd
