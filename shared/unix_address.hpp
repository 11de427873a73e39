#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace dlhandoff {

/// The address of a Unix socket in the file system (unix(7)).
class unix_address {
  public:
    /// The most bytes of a path: sun_path less the null byte.
    static constexpr std::size_t longest_path = sizeof(sockaddr_un::sun_path) - 1;

    /// No address: its path is empty.
    unix_address() noexcept = default;
    /// nullopt, with errno ENAMETOOLONG, if the path is too long. A NUL byte ends the path.
    [[nodiscard]] static std::optional<unix_address> of(std::string_view path) noexcept;
    /// Where a socket is bound; no address if it is not bound to a path, or is no Unix socket.
    [[nodiscard]] static unix_address of_socket(int socket) noexcept;

    /// Empty if there is no address. Null-terminated, valid as long as this object.
    [[nodiscard]] std::string_view path() const noexcept { return address_.sun_path; }

    /// bind(2) and connect(2): false with errno set.
    [[nodiscard]] bool bind(int socket) const noexcept;
    [[nodiscard]] bool connect(int socket) const noexcept;

  private:
    sockaddr_un address_{AF_UNIX, {}};
};

} // namespace dlhandoff
