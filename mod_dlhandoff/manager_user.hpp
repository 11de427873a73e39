#pragma once

#include <string>
#include <sys/types.h>

namespace dlhandoff::httpd {

/// Whether a user may be the service whose socket is at `path`: root, this process's own user, or the owner
/// of the socket's directory, but not whom the kernel can't name (shared/trusted_user.hpp). Connections and
/// keys are for the service only, and whoever may write a directory may listen in it; the directory is there
/// while a service that has stopped listening still ends its downloads. Any thread.
[[nodiscard]] bool may_be_manager(uid_t user, const std::string& path) noexcept;

} // namespace dlhandoff::httpd
