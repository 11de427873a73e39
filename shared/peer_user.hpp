#pragma once

#include <optional>
#include <sys/types.h>

namespace dlhandoff {

/// The user who runs the other end of a connected Unix socket; the end that connected sees the user who was
/// listening (SO_PEERCRED, unix(7)). nullopt, with errno set, if the kernel doesn't say.
[[nodiscard]] std::optional<uid_t> peer_user(int socket) noexcept;

} // namespace dlhandoff
