#pragma once

#include <algorithm>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

namespace dlhandoff::service {

/// Whether a user may connect to the service: root, the service's own user, and those that are `allowed`.
[[nodiscard]] inline bool may_use_service(uid_t user, const std::vector<uid_t>& allowed) {
    return user == 0 || user == ::geteuid() || std::ranges::find(allowed, user) != allowed.end();
}

} // namespace dlhandoff::service
