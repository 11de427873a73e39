#pragma once

#include "mod_dlhandoff/handover.hpp"
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

/// One connection to the service's manager, with its ticket slot on the manager's board: one offer at a time.
///
/// One thread at a time. No call waits longer than the deadline that it is given. Knows nothing of httpd;
/// throws only std::bad_alloc.
class manager_connection {
  public:
    using clock = std::chrono::steady_clock;

    enum class state {
        awaiting_hello,  ///< connected; the manager has not spoken yet
        idle,            ///< ready for an offer
        awaiting_answer, ///< an offer's time is up, and its answer has not come yet
        broken           ///< of no use any more
    };

    /// Connects to the service's socket, without waiting.
    [[nodiscard]] static std::variant<std::unique_ptr<manager_connection>, handover>
    connect(const std::string& path);

    /// Waits for the manager's hello and maps the board that comes with it. Nothing: the connection is idle
    /// now.
    [[nodiscard]] std::optional<handover> await_hello(clock::time_point deadline);

    /// Makes an offer and waits for the answer; afterwards now() says what the connection is good for.
    /// Nothing: the manager had closed this connection before, and nothing was sent. The connection must be
    /// idle.
    [[nodiscard]] std::optional<handover> hand_over(offer& offered, std::span<const int> descriptors,
                                                    clock::time_point deadline);

    /// Looks, without waiting, whether what the connection waits for has come.
    state settle();

    [[nodiscard]] state now() const noexcept { return state_; }

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
    [[nodiscard]] std::optional<handover> take_hello();
    [[nodiscard]] heard hear_answer();
    [[nodiscard]] heard await_answer(ticket_slot& slot, clock::time_point deadline) noexcept;
    [[nodiscard]] handover conclude(const heard& last, ticket_slot& slot) noexcept;

    file_descriptor socket_;
    std::optional<board> board_;
    std::uint32_t slot_ = 0;
    std::uint64_t sequence_ = 0; ///< of the last offer
    state state_ = state::awaiting_hello;
    received_message message_;
};

} // namespace dlhandoff::httpd
