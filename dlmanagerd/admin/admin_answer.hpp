#pragma once

#include "shared/admin_protocol.hpp"
#include "shared/board.hpp"
#include "shared/file_descriptor.hpp"

#include <cstdint>
#include <string>
#include <vector>

/// What the supervisor answers an admin, from the managers' parts. How a request goes through the service:
///
///     admin ──request──> supervisor ──order::report (+ memfd with the request)──> each manager
///     admin <──answer── supervisor <──note::reported (its part is in the memfd)── each manager
///
/// A manager's part (admin_report) is lines of the protocol: for status its own, for list one for each
/// transfer, for cancel one if the transfer was its own.
namespace dlhandoff::service {

/// One manager's part.
struct admin_part {
    std::uint32_t manager = 0; ///< its place on the board
    file_descriptor text;      ///< a memfd, sealed when it is complete
    [[nodiscard]] bool complete() const noexcept;
};

/// An answer: the contents of these memfds, one after another, and then the text.
struct admin_answer {
    std::vector<file_descriptor> parts;
    std::string text;
};

/// The whole answer to status, list or cancel. `parts` are those of the managers that were asked; those that
/// are not complete have not answered in time.
[[nodiscard]] admin_answer answer_admin(const admin::request& asked, const board& the_board,
                                        std::vector<admin_part> parts);

/// The whole answer, of one line and the end.
[[nodiscard]] admin_answer answer_with(const admin::answer_line& line);

/// A memfd with the request in it, for one manager; invalid, with errno set, if there is none to be had.
[[nodiscard]] file_descriptor memory_for(const admin::request& asked);

} // namespace dlhandoff::service
