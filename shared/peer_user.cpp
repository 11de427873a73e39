#include "shared/peer_user.hpp"

#include <sys/socket.h>

namespace dlhandoff {

std::optional<uid_t> peer_user(int socket) noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return std::nullopt;
    return peer.uid;
}

} // namespace dlhandoff
