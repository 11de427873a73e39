#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// The head of a response as httpd composes it: status line, fields, empty line, each ended by CRLF (RFC 9112
/// section 2.1). Knows nothing of httpd; throws only std::bad_alloc.
namespace dlhandoff::httpd {

/// Bytes of the complete HTTP/1.x head that `response` begins with, its empty line included; nothing if it
/// begins with anything else.
[[nodiscard]] std::optional<std::size_t> head_size(std::string_view response) noexcept;

/// The head, saying that the connection ends after the response: `close` is among the options of its
/// Connection field, `keep-alive` is not, and there is no Keep-Alive field (RFC 9110 section 7.6.1, RFC 9112
/// section 9.6). Other options, such as Upgrade, and all other fields stay, in their order. `head` must be a
/// complete head.
[[nodiscard]] std::string closing_head(std::string_view head);

} // namespace dlhandoff::httpd
