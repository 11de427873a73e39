#pragma once

#include "shared/refusal.hpp"
#include "shared/ticket.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// The messages between httpd and a manager: SOCK_SEQPACKET over a Unix socket, so each arrives whole. Both
/// ends are on the same machine, so numbers are in its byte order.
///
///     manager ──hello (+ board)──> worker       once, when a worker has connected, its uid was checked, and
///                                               the supervisor has passed the connection on; a manager that
///                                               has no room for it refuses (an answer to offer 0) instead
///     worker  ──offer (+ client, files)──> manager
///     manager ──answer──> worker                one for each offer, before the first byte to the client
///     manager ──return (+ client)────> httpd    the only message on a connection of its own to the socket
///                                               at which httpd's parent listens
///
/// A message begins with a header whose layout never changes, so that two versions can tell each other apart.
namespace dlhandoff {

/// Raised with every change to any message.
inline constexpr std::uint16_t wire_version = 3;

enum class message_type : std::uint16_t { hello = 1, offer = 2, answer = 3, returned = 4 };

struct message_header {
    std::uint32_t magic = 0;
    std::uint16_t version = 0;
    message_type type{};
    std::uint32_t size = 0; ///< of the whole message, header included
    std::uint32_t zero = 0;
};
static_assert(sizeof(message_header) == 16);

[[nodiscard]] message_header make_header(message_type type, std::size_t size) noexcept;

/// The sender's wire version; nullopt if this is not one of these messages.
[[nodiscard]] std::optional<std::uint16_t> version_of(std::span<const std::byte> message) noexcept;

/// nullopt if `message` begins with a header of this version and type whose size is the message's own;
/// otherwise why not.
[[nodiscard]] std::optional<refusal> check_header(std::span<const std::byte> message,
                                                  message_type type) noexcept;

/// What a manager says first. The board's descriptor travels beside it.
struct hello {
    std::uint32_t manager_pid = 0;
    std::uint32_t slot = 0;         ///< this connection's ticket slot on the board
    std::array<char, 16> manager{}; ///< the manager's name in logs: "m1"
    std::uint64_t epoch = 0; ///< the board's; a worker that has mapped it already needs no second mapping
    std::uint32_t index = 0; ///< the manager's place on the board
    std::uint32_t zero = 0;
};
inline constexpr std::size_t hello_size = sizeof(message_header) + sizeof(hello);

[[nodiscard]] std::array<std::byte, hello_size> encode(const hello& value) noexcept;
[[nodiscard]] std::optional<hello> decode_hello(std::span<const std::byte> message) noexcept;

/// What a manager says to an offer.
struct answer {
    std::uint64_t sequence = 0; ///< the ticket's
    bool claimed = false;
    refusal reason = refusal::malformed; ///< if not claimed
};
inline constexpr std::size_t answer_size = sizeof(message_header) + 16;

[[nodiscard]] std::array<std::byte, answer_size> encode(const answer& value) noexcept;
[[nodiscard]] std::optional<answer> decode_answer(std::span<const std::byte> message) noexcept;

/// What a manager says when it returns a connection. The client's socket travels beside it; the first bytes
/// of the client's next request have arrived there and are unread.
struct return_message {
    std::uint32_t requests = 0; ///< that httpd has taken on this connection, as in the offer
};
inline constexpr std::size_t return_message_size = sizeof(message_header) + 8;

[[nodiscard]] std::array<std::byte, return_message_size> encode(const return_message& value) noexcept;
[[nodiscard]] std::optional<return_message> decode_return(std::span<const std::byte> message) noexcept;

} // namespace dlhandoff
