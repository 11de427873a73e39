#include "mod_dlhandoff/manager_user.hpp"

#include "shared/trusted_user.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace dlhandoff::httpd {

bool may_be_manager(uid_t user, const std::string& path) noexcept {
    if (is_trusted(user))
        return true;
    if (may_be_anybody(user)) // the directory's owner may be shown as the same, and be another
        return false;
    struct stat directory {};
    const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    return ::stat(folder.c_str(), &directory) == 0 && directory.st_uid == user;
}

} // namespace dlhandoff::httpd
