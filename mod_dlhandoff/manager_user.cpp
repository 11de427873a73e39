#include "mod_dlhandoff/manager_user.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::httpd {

bool may_be_manager(uid_t user, const std::string& path) noexcept {
    if (user == 0 || user == ::geteuid())
        return true;
    struct stat directory {};
    const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    return ::stat(folder.c_str(), &directory) == 0 && directory.st_uid == user;
}

} // namespace dlhandoff::httpd
