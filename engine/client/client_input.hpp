#pragma once

#include <cstdint>

namespace dlhandoff::engine {

/// What a client's socket has to read.
enum class client_input : std::uint8_t {
    none,  ///< nothing, for now
    bytes, ///< the beginning of its next request, say
    ended, ///< end of file: the client sends nothing more
    failed ///< reset, or timed out
};

/// Looks without reading or waiting.
[[nodiscard]] client_input peek_input(int socket) noexcept;

/// Reads away what is there, without copying it and without waiting; `bytes` if there may be more than one
/// call should deal with.
[[nodiscard]] client_input drop_input(int socket) noexcept;

} // namespace dlhandoff::engine
