#pragma once

#include "shared/admin_protocol.hpp"

#include <cstddef>
#include <string>
#include <vector>

/// The service's answers as text for people. Pure: text from data and a width in columns (0: no bound). Lines
/// end in newlines, none is wider, and nothing in them does a terminal harm (display_text.hpp).
namespace dlhandoff::dlctl {

struct status_answer {
    std::vector<admin::manager_report> managers;
    admin::totals all;
};
using list_answer = std::vector<transfer_listing>;

[[nodiscard]] std::string render_status(const status_answer& status, std::size_t width);
/// In the order given.
[[nodiscard]] std::string render_list(const list_answer& transfers, std::size_t width);
/// A screen of `height` lines at most (0: no bound): sums, then the fastest transfers.
[[nodiscard]] std::string render_top(const status_answer& status, list_answer transfers, std::size_t width,
                                     std::size_t height);

/// "[=====>    ]" of that many columns, with its brackets.
[[nodiscard]] std::string progress_bar(std::uint64_t done, std::uint64_t of, std::size_t columns);

} // namespace dlhandoff::dlctl
