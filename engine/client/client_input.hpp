#pragma once

#include <cstdint>

namespace dlhandoff::engine {

/// What can be read from a client's socket.
enum class client_input : std::uint8_t {
    none,  ///< nothing, for now
    bytes, ///< the beginning of its next request, say
    ended, ///< end of file: the client sends nothing more
    failed ///< reset, or timed out
};

/// Looks without reading or waiting.
[[nodiscard]] client_input peek_input(int socket) noexcept;

/// The most empty lines before a request that are ignored: as many as httpd ignores after a response.
inline constexpr std::uint8_t most_empty_lines = 10;

/// Reads and drops the empty lines that a client may send before its next request (RFC 9112, 2.2), and adds
/// their number to `lines`, until that exceeds most_empty_lines. Then looks as peek_input() does; half an
/// empty line, a CR alone, is left unread and counts as `none`.
[[nodiscard]] client_input peek_request(int socket, std::uint8_t& lines) noexcept;

/// Reads and drops what is there, without copying it and without waiting. `bytes` if there may be more than
/// one call should handle.
[[nodiscard]] client_input drop_input(int socket) noexcept;

} // namespace dlhandoff::engine
