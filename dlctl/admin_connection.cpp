#include "dlctl/admin_connection.hpp"

#include "dlctl/display_text.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/unix_address.hpp"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace dlhandoff::dlctl {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw admin_error(harmless(path) + ": " + what);
}

std::string advice(int error) {
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        return "is dlmanagerd running (systemctl status dlmanagerd), and is this the path of its \"admin\" "
               "socket? --socket PATH names another";
    case EACCES:
    case EPERM:
        return "only root, the service's user and its admin_users may ask: try it with sudo";
    default:
        return "see the service's log (journalctl -u dlmanagerd)";
    }
}

file_descriptor connect_to(const std::string& path) {
    file_descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!made)
        fail(path, std::string("cannot make a socket: ") + std::strerror(errno));
    const auto address = unix_address::of(path);
    if (!address || !address->connect(made.get())) {
        const int error = errno;
        fail(path, std::string("cannot connect: ") + std::strerror(error) + "; " + advice(error));
    }
    return made;
}

void send_all(const std::string& path, int socket, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            fail(path, std::string("cannot ask: ") + std::strerror(errno) + "; " + advice(errno));
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

} // namespace

std::string why_not_socket(const std::string& path) {
    if (path.empty())
        return "the path of a socket can't be empty";
    if (path.size() > unix_address::longest_path)
        return "the path of a socket has " + std::to_string(unix_address::longest_path) + " bytes at most";
    return {};
}

void ask_service(const std::string& path, const admin::request& request,
                 const std::function<void(std::string_view, const admin::answer_line&)>& take,
                 std::chrono::milliseconds patience) {
    const file_descriptor service = connect_to(path);
    send_all(path, service.get(), admin::encode(request));
    std::string unread;
    std::size_t searched = 0;
    for (;;) {
        const std::size_t newline = unread.find('\n', searched);
        if (newline != std::string::npos) {
            const std::string line = unread.substr(0, newline + 1);
            unread.erase(0, newline + 1);
            searched = 0;
            const auto meaning = admin::decode_answer_line(line);
            if (!meaning)
                fail(path, "the service answers what dlctl does not understand: are they of the same release "
                           "(--version)?");
            take(line, *meaning);
            if (std::holds_alternative<admin::end>(*meaning))
                return;
            if (const auto* said = std::get_if<admin::failure>(&*meaning))
                throw admin_error(harmless(said->message));
            continue;
        }
        searched = unread.size();
        if (searched > admin::longest_line)
            fail(path, "the service sends a line without an end: is it dlmanagerd?");
        pollfd readable{service.get(), POLLIN, 0};
        const int ready = ::poll(&readable, 1, static_cast<int>(patience.count()));
        if (ready < 0 && errno != EINTR)
            fail(path, std::string("cannot wait for the answer: ") + std::strerror(errno));
        if (ready == 0)
            fail(path, "no answer for " + std::to_string(patience.count() / 1000) +
                           " s: the service hangs or is overloaded; " + advice(0));
        char bytes[64 * 1024];
        const ssize_t got = ready < 0 ? 0 : ::recv(service.get(), bytes, sizeof bytes, 0);
        if (ready < 0 || (got < 0 && errno == EINTR))
            continue;
        if (got < 0)
            fail(path, std::string("the connection broke: ") + std::strerror(errno) + "; " + advice(0));
        if (got == 0)
            fail(path, "the service ended the connection before the end of its answer: it has stopped, or "
                       "does not let this user ask; " +
                           advice(0));
        unread.append(bytes, static_cast<std::size_t>(got));
    }
}

} // namespace dlhandoff::dlctl
