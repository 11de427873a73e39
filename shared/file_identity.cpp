#include "shared/file_identity.hpp"

#include <sys/stat.h>

namespace dlhandoff {

std::optional<file_identity> file_identity::of(int file) noexcept {
    struct stat status {};
    if (::fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        return std::nullopt;
    return file_identity{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                         status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

} // namespace dlhandoff
