#include "engine/files/file_state.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace dlhandoff::engine {
namespace {

file_state judge(std::uint64_t size, std::int64_t modified_nanoseconds, const file_identity& offered,
                 file_check check) noexcept {
    if (size > offered.size)
        return file_state::as_offered;
    const bool touched = check == file_check::mtime && modified_nanoseconds != offered.modified_nanoseconds;
    return size < offered.size || touched ? file_state::changed : file_state::as_offered;
}

template <class Call>
bool succeeds(Call call) noexcept {
    for (int tries = 1; call() != 0; ++tries)
        if (errno != EINTR || tries == most_fruitless_reads)
            return false;
    return true;
}

} // namespace

file_state state_of(int file, const file_identity& offered, file_check check) noexcept {
    struct stat seen {};
    if (!succeeds([&] { return ::fstat(file, &seen); }))
        return file_state::unreadable;
    const auto state = judge(static_cast<std::uint64_t>(seen.st_size),
                             seen.st_mtim.tv_sec * 1'000'000'000 + seen.st_mtim.tv_nsec, offered, check);
    if (state == file_state::as_offered)
        return state;
    // A single short answer of a FUSE daemon makes the kernel believe that the file ends there, until it asks
    // for its attributes again. NFS keeps attributes likewise. So have it ask (statx(2)).
    struct statx asked {};
    if (!succeeds([&] {
            return ::statx(file, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE | STATX_MTIME, &asked);
        }))
        return file_state::unreadable;
    return judge(asked.stx_size, asked.stx_mtime.tv_sec * 1'000'000'000 + asked.stx_mtime.tv_nsec, offered,
                 check);
}

} // namespace dlhandoff::engine
