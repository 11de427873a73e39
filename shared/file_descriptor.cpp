#include "shared/file_descriptor.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace dlhandoff {

file_descriptor file_descriptor::duplicate_of(int number) noexcept {
    return file_descriptor(::fcntl(number, F_DUPFD_CLOEXEC, 3));
}

void file_descriptor::reset(int number) noexcept {
    const int old = std::exchange(number_, number);
    if (old >= 0) {
        // Linux frees the number even when close() reports EINTR or EIO (close(2), "Dealing with error
        // returns").
        const int saved = errno;
        ::close(old);
        errno = saved;
    }
}

void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace dlhandoff
