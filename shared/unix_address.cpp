#include "shared/unix_address.hpp"

#include <cerrno>

namespace dlhandoff {

std::optional<unix_address> unix_address::of(std::string_view path) noexcept {
    if (path.size() > longest_path) {
        errno = ENAMETOOLONG;
        return std::nullopt;
    }
    unix_address made;
    path.copy(made.address_.sun_path, longest_path);
    return made;
}

unix_address unix_address::of_socket(int socket) noexcept {
    unix_address found;
    socklen_t size = sizeof found.address_;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&found.address_), &size) < 0 ||
        found.address_.sun_family != AF_UNIX)
        return {};
    // A path that fills sun_path comes without a null byte; no path that this class binds is that long.
    found.address_.sun_path[longest_path] = '\0';
    return found;
}

bool unix_address::bind(int socket) const noexcept {
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0;
}

bool unix_address::connect(int socket) const noexcept {
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0;
}

} // namespace dlhandoff
