#pragma once

#include <optional>
#include <sys/types.h>

namespace dlhandoff {

/// The user who runs the other end of a connected Unix socket; for the end that connected, who was listening
/// (SO_PEERCRED, unix(7)). Nothing, with errno set, if the kernel doesn't say.
[[nodiscard]] std::optional<uid_t> peer_user(int socket) noexcept;

} // namespace dlhandoff
