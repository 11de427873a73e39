#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Text on a terminal.
namespace dlhandoff::dlctl {

/// Bytes from anywhere as text that does a terminal and its reader no harm: what is not UTF-8, controls
/// (escape sequences begin with one), and what is invisible, joins or reorders its neighbours, is written as
/// \xNN, a byte each. Everything in the result takes one or two columns. Newlines and tabs are controls.
[[nodiscard]] std::string harmless(std::string_view bytes);

/// How many columns harmless text takes.
[[nodiscard]] std::size_t columns_of(std::string_view text);

/// Cut to that many columns at most, ".." in the place of what is left out: the end, or the beginning.
[[nodiscard]] std::string cut(std::string_view text, std::size_t columns);
[[nodiscard]] std::string cut_beginning(std::string_view text, std::size_t columns);

} // namespace dlhandoff::dlctl
