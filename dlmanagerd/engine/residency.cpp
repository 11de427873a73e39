#include "dlmanagerd/engine/residency.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

#ifdef SYS_cachestat
constexpr long cachestat_call = SYS_cachestat;
#else
constexpr long cachestat_call = 451; // the same on every architecture since Linux 6.5
#endif

// <linux/mman.h> has these since Linux 6.5; Debian 12's does not.
struct cachestat_range {
    std::uint64_t offset;
    std::uint64_t length;
};
struct cachestat_answer {
    std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

constexpr std::uint64_t page_size = 4096; // a larger page makes the count larger than needed, so "cold": safe
constexpr std::uint64_t probe_distance = 64 * 1024;

enum class probe_result { cached, cold, unsupported };

probe_result probe_with_cachestat(int file, std::uint64_t offset, std::uint64_t length) noexcept {
    cachestat_range range{offset, length};
    cachestat_answer answer{};
    if (::syscall(cachestat_call, file, &range, &answer, 0) != 0)
        return probe_result::unsupported;
    const std::uint64_t pages = (offset + length - 1) / page_size - offset / page_size + 1;
    return answer.cached >= pages ? probe_result::cached : probe_result::cold;
}

probe_result probe_byte(int file, std::uint64_t offset) noexcept {
    char byte;
    const iovec into{&byte, 1};
    if (::preadv2(file, &into, 1, static_cast<off_t>(offset), RWF_NOWAIT) >= 0)
        return probe_result::cached; // 0, the end of the file, waits for no disk either
    return errno == EAGAIN ? probe_result::cold : probe_result::unsupported;
}

/// The page cache is filled in runs of read-ahead, so a byte in every 64 kB and the last one stand for the
/// rest.
probe_result probe_with_nowait(int file, std::uint64_t offset, std::uint64_t length) noexcept {
    const std::uint64_t last = offset + length - 1;
    for (std::uint64_t at = offset; at < last; at += probe_distance)
        if (const auto result = probe_byte(file, at); result != probe_result::cached)
            return result;
    return probe_byte(file, last);
}

} // namespace

residency_probe::residency_probe(int file) noexcept {
    struct statfs status {};
    if (::fstatfs(file, &status) == 0 && (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC))
        way_ = way::memory;
}

bool residency_probe::cached(int file, std::uint64_t offset, std::uint64_t length) noexcept {
    if (way_ == way::cachestat) {
        const auto result = probe_with_cachestat(file, offset, length);
        if (result != probe_result::unsupported)
            return result == probe_result::cached;
        way_ = way::nowait;
    }
    if (way_ == way::nowait) {
        const auto result = probe_with_nowait(file, offset, length);
        if (result != probe_result::unsupported)
            return result == probe_result::cached;
        way_ = way::unknown;
    }
    return way_ == way::memory;
}

} // namespace dlhandoff::engine
