#pragma once

#include <span>
#include <sys/types.h>

/// Who may be at the other end of a Unix socket (peer_user.hpp): the one rule for httpd's return socket and
/// for the service's sockets, for those who listen and for those who connect. Any thread.
namespace dlhandoff {

/// Whether who is shown as this user, a socket's peer or a file's owner, may be anybody. The kernel shows
/// each user who has no id in this process's user namespace as one and the same overflow id, 65534 unless set
/// otherwise (user_namespaces(7), "Unmapped user and group IDs"; proc(5), /proc/sys/kernel/overflowuid). In a
/// namespace that has an id for every user, as the initial one, 65534 is a user like others ("nobody").
[[nodiscard]] bool may_be_anybody(uid_t user) noexcept;

/// Whether `user`, a socket's peer, is trusted: root, this process's own, or one of the `others`, whom an
/// admin has named. Who may be anybody is never taken for this process's own user, not even if this process
/// has that id itself.
[[nodiscard]] bool is_trusted(uid_t user, std::span<const uid_t> others = {}) noexcept;

} // namespace dlhandoff
