#pragma once

#include "shared/transfer_listing.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// What dlctl and the service say to each other over the admin socket: a Unix stream socket of mode 0660. The
/// service checks the peer's user (SO_PEERCRED), which must be root, its own, or one of admin_users.
///
/// A connection carries one request (a line of JSON) and its answer (lines of JSON):
///
///     {"command":"list","client":"192.0.2.7"}
///     {"id":"m1-...","manager":"m1","state":"sending",...}      for each transfer
///     {"end":true}                                              or {"error":"..."}
///
/// | command  | the answer's lines                                                                      |
/// | status   | {"name":...} for each manager, then {"managers":...}: their number, sums, the release    |
/// | list     | {"id":...} for each transfer                                                            |
/// | cancel   | {"cancelled":"ID"}, or an error if there is no such transfer                             |
/// | drain    | {"draining":N}: so many managers finish what they have and take no offers any more       |
///
/// A missing key counts as empty or 0, and an unknown key is skipped, so a release may say more than another
/// understands. Bytes that are not UTF-8 become U+FFFD (json_line.hpp).
namespace dlhandoff::admin {

inline constexpr const char* default_socket = "/run/dlmanagerd/admin.sock";
/// The most bytes that a request, and a line of an answer, may have, newline included.
inline constexpr std::size_t longest_request = 64 * 1024;
inline constexpr std::size_t longest_line = 1024 * 1024;

enum class command : std::uint8_t { status, list, cancel, drain };
[[nodiscard]] std::string_view name(command value) noexcept;

struct request {
    command what = command::status;
    std::string client;      ///< list: of this client or client_key only; empty: of all
    std::string class_name;  ///< list: of this class only; empty: of all
    std::string id;          ///< cancel: never empty
    std::uint32_t limit = 0; ///< list: at most this many of each manager, the fastest first; 0: all
    friend bool operator==(const request&, const request&) = default;
};

/// Whether the answer to this list request includes the transfer.
[[nodiscard]] bool selects(const request& asked, const transfer_listing& one);

/// The counts of one manager, or the sums over all of them.
struct figures {
    std::uint64_t active = 0; ///< transfers under way
    std::uint64_t queued = 0; ///< transfers that wait
    std::uint64_t idle = 0;   ///< connections that wait for a next request
    std::uint64_t bytes_per_second = 0;
    std::uint64_t bytes_sent = 0; ///< since the start
    std::uint64_t descriptors_used = 0;
    std::uint64_t descriptors_limit = 0;
    std::uint64_t tcp_memory = 0;        ///< bytes that the kernel holds for clients
    std::uint64_t tcp_memory_budget = 0; ///< bytes that it may hold for them; 0: no bound
    std::uint64_t offers = 0;
    std::uint64_t claims = 0;
    std::uint64_t late = 0;                                      ///< offers that the worker had revoked
    std::vector<std::pair<std::string, std::uint64_t>> refusals; ///< by reason, those above 0
    figures& operator+=(const figures& other);
    friend bool operator==(const figures&, const figures&) = default;
};

struct manager_report {
    std::string name; ///< "m1"
    std::uint32_t pid = 0;
    std::string state; ///< starting, live, draining, or silent: no answer, the rest is from the board
    figures counts;
    friend bool operator==(const manager_report&, const manager_report&) = default;
};

struct totals {
    std::string version;    ///< dlmanagerd's release; empty: it did not say
    std::uint16_t wire = 0; ///< wire_version (wire.hpp) that it speaks to httpd
    std::uint32_t managers = 0;
    figures counts;
    friend bool operator==(const totals&, const totals&) = default;
};

struct cancelled {
    std::string id;
    friend bool operator==(const cancelled&, const cancelled&) = default;
};
struct draining {
    std::uint32_t managers = 0;
    friend bool operator==(const draining&, const draining&) = default;
};
struct end {
    friend bool operator==(const end&, const end&) = default;
};
/// What went wrong, where, and what to do about it, for people; it ends the answer.
struct failure {
    std::string message;
    friend bool operator==(const failure&, const failure&) = default;
};

using answer_line = std::variant<manager_report, totals, transfer_listing, cancelled, draining, end, failure>;

/// Lines with their newlines.
[[nodiscard]] std::string encode(const request& value);
[[nodiscard]] std::string encode(const answer_line& value);

/// Decodes a line from the other side, with its newline or without. If a request can't be understood, the
/// string says why, for a `failure`. nullopt if the line is not one of an answer.
[[nodiscard]] std::variant<request, std::string> decode_request(std::string_view line);
[[nodiscard]] std::optional<answer_line> decode_answer_line(std::string_view line);

} // namespace dlhandoff::admin
