#include "mod_dlhandoff/detach.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::httpd {

dead_socket::dead_socket() noexcept {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) < 0)
        return;
    ::close(ends[1]);
    end_.reset(ends[0]);
}

void dead_socket::detach(conn_rec* c, int client) const noexcept {
    c->keepalive = AP_CONN_CLOSE;
    int result;
    do {
        result = ::dup3(end_.get(), client, O_CLOEXEC);
    } while (result < 0 && (errno == EINTR || errno == EBUSY));
    // dup3(2) names no other error for two descriptors that are open. Should there be one, an aborted
    // connection is closed without another word to the client.
    if (result < 0)
        c->aborted = 1;
}

} // namespace dlhandoff::httpd
