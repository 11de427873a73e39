#include "mod_dlhandoff/returned_connection.hpp"

#include "engine/client/tcp_progress.hpp"
#include "engine/signal_mask.hpp"
#include "mod_dlhandoff/child.hpp"
#include "mod_dlhandoff/directives.hpp"
#include "mod_dlhandoff/manager_user.hpp"
#include "mod_dlhandoff/module.hpp"
#include "mod_dlhandoff/mpm.hpp"
#include "mod_dlhandoff/return_socket.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/peer_user.hpp"
#include "shared/trusted_user.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <apr_portable.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <variant>

namespace dlhandoff::httpd {
namespace {

constexpr const char* requests_key = "dlhandoff-requests";

/// A manager sends its message as soon as it has connected. One that doesn't must not hold a worker.
constexpr int longest_wait_ms = 100;

struct returned {
    file_descriptor client;
    std::uint32_t requests = 0;
};

/// mod_proxy makes connections of Unix sockets, too.
bool was_accepted_there(int socket, const apr_socket_t* accepted) noexcept {
    apr_sockaddr_t* peer = nullptr;
    // What accept() said: no system call for the many connections that come over TCP.
    if (apr_socket_addr_get(&peer, APR_REMOTE, const_cast<apr_socket_t*>(accepted)) != APR_SUCCESS ||
        peer->sa.sin.sin_family != AF_UNIX)
        return false;
    const unix_address own = unix_address::of_socket(socket);
    return !own.path().empty() && own.path() == return_socket_path();
}

bool may_return(uid_t user) {
    const child* const process = child::current();
    const char* const service = process != nullptr ? process->config().manager_socket : nullptr;
    return service != nullptr ? may_be_manager(user, service) : is_trusted(user);
}

/// The client's connection, or what is wrong.
std::variant<returned, const char*> receive(int socket) {
    const auto sender = peer_user(socket);
    if (!sender || !may_return(*sender))
        return "its sender is neither root nor httpd's User nor the owner of the directory of the service's "
               "socket";
    received_message message;
    receive_result got = receive_message(socket, return_message_size, message);
    if (got == receive_result::would_block) {
        pollfd readable{socket, POLLIN, 0};
        while (::poll(&readable, 1, longest_wait_ms) < 0 && errno == EINTR)
            ;
        got = receive_message(socket, return_message_size, message);
    }
    if (got != receive_result::message)
        return "no message came with it";
    const auto said = decode_return(message.bytes);
    if (!said || message.truncated)
        return "it brought another message than the one expected; are mod_dlhandoff and dlmanagerd of the "
               "same release?";
    if (message.descriptors_lost)
        return "its descriptor was lost: raise the limit of open files, or see whether a security module "
               "(SELinux, AppArmor) forbids httpd to receive the manager's sockets";
    if (message.descriptors.size() != 1 || !engine::is_tcp(message.descriptors.front().get()))
        return "it did not bring a client's TCP connection";
    return returned{std::move(message.descriptors.front()), said->requests};
}

/// Gives APR, which has seen a Unix socket's addresses, those of the connection that it is now. False if the
/// client has gone meanwhile.
bool set_address(apr_socket_t* socket, apr_interface_e which) noexcept {
    apr_os_sock_t descriptor = -1;
    apr_sockaddr_t* address = nullptr;
    if (apr_os_sock_get(&descriptor, socket) != APR_SUCCESS ||
        apr_socket_addr_get(&address, which, socket) != APR_SUCCESS)
        return false;
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    auto* const into = reinterpret_cast<sockaddr*>(&name);
    if ((which == APR_LOCAL ? ::getsockname(descriptor, into, &size)
                            : ::getpeername(descriptor, into, &size)) < 0 ||
        (name.ss_family != AF_INET && name.ss_family != AF_INET6))
        return false;
    std::memcpy(&address->sa, &name, sizeof(sockaddr_in6));
    address->hostname = address->servname = nullptr;
    address->next = nullptr;
    address->family = name.ss_family;
    address->salen = size;
    address->port = ntohs(address->sa.sin.sin_port); // sin6_port is at the same place
    if (name.ss_family == AF_INET6) {
        address->addr_str_len = INET6_ADDRSTRLEN;
        address->ipaddr_ptr = &address->sa.sin6.sin6_addr;
        address->ipaddr_len = sizeof(in6_addr);
    } else {
        address->addr_str_len = INET_ADDRSTRLEN;
        address->ipaddr_ptr = &address->sa.sin.sin_addr;
        address->ipaddr_len = sizeof(in_addr);
    }
    return true;
}

} // namespace

conn_rec* receive_returned(apr_pool_t*, server_rec* server, apr_socket_t* accepted, long, void*,
                           apr_bucket_alloc_t*) noexcept {
    apr_os_sock_t socket = -1;
    if (apr_os_sock_get(&socket, accepted) != APR_SUCCESS || !was_accepted_there(socket, accepted))
        return nullptr;
    leave_out_of_connection_count();
    // A prefork child is ended from within its signal handler, which waits for the engine: not while this
    // thread holds what the engine needs.
    const engine::blocked_signals blocked;
    std::variant<returned, const char*> received = "no memory is left";
    try {
        received = receive(socket);
    } catch (...) { // std::bad_alloc
    }
    if (const auto* wrong = std::get_if<const char*>(&received)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "a connection to the return socket %s is refused: %s", return_socket_path().data(),
                     *wrong);
        apr_socket_close(accepted); // core finds no address, makes no connection of it, and the MPM goes on
        return nullptr;
    }
    const auto& one = std::get<returned>(received);
    while (::dup3(one.client.get(), socket, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY))
        ;
    // The client's first: if it has gone, core does not find the other, and makes no connection.
    if (!set_address(accepted, APR_REMOTE) || !set_address(accepted, APR_LOCAL))
        apr_socket_close(accepted);
    else
        // The number itself, in place of a pointer.
        apr_socket_data_set(accepted, reinterpret_cast<void*>(static_cast<std::uintptr_t>(one.requests)),
                            requests_key, nullptr);
    return nullptr;
}

int go_on_counting(conn_rec* c, void* socket) noexcept {
    void* requests = nullptr;
    if (socket != nullptr && c->master == nullptr &&
        apr_socket_data_get(&requests, requests_key, static_cast<apr_socket_t*>(socket)) == APR_SUCCESS &&
        requests != nullptr)
        c->keepalives = static_cast<int>(reinterpret_cast<std::uintptr_t>(requests));
    return OK;
}

} // namespace dlhandoff::httpd
