#pragma once

#include <span>
#include <sys/types.h>

/// Who may be at the other end of a Unix socket (peer_user.hpp). The same rule holds for httpd's return
/// socket and the service's sockets, for the listening and the connecting side. Any thread.
namespace dlhandoff {

/// Whether this user id, of a socket's peer or a file's owner, may stand for anybody. The kernel shows every
/// user who has no id in this process's user namespace as the same overflow id, 65534 unless set otherwise
/// (user_namespaces(7), "Unmapped user and group IDs"; proc(5), /proc/sys/kernel/overflowuid). In a namespace
/// that has an id for every user, such as the initial one, 65534 is a user like any other ("nobody").
[[nodiscard]] bool may_be_anybody(uid_t user) noexcept;

/// Whether `user`, a socket's peer, is trusted: root, this process's own user, or one of the `others`, whom
/// an admin has named. A user that may be anybody never counts as this process's own, not even if this
/// process has that id itself.
[[nodiscard]] bool is_trusted(uid_t user, std::span<const uid_t> others = {}) noexcept;

} // namespace dlhandoff
