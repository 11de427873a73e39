#include "engine/files/residency.hpp"

#include "shared/file_descriptor.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <linux/magic.h>
#include <sys/mman.h>
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
constexpr std::uint8_t most_doublings = 3;

enum class probe_result { cached, cold, unsupported };

/// So that it isn't tried in vain for each file: who is refused once will be again, nearly always.
std::atomic<bool> cachestat_refused{false};

probe_result probe_with_cachestat(int file, std::uint64_t offset, std::uint64_t length) noexcept {
    cachestat_range range{offset, length};
    cachestat_answer answer{};
    if (::syscall(cachestat_call, file, &range, &answer, 0) != 0) {
        cachestat_refused.store(true, std::memory_order_relaxed);
        return probe_result::unsupported;
    }
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

/// The page cache is filled in runs of read-ahead, so a byte in every `distance` and the last one stand for
/// the rest.
probe_result probe_with_nowait(int file, std::uint64_t offset, std::uint64_t length,
                               std::uint64_t distance) noexcept {
    const std::uint64_t last = offset + length - 1;
    for (std::uint64_t at = offset; at < last; at += distance)
        if (const auto result = probe_byte(file, at); result != probe_result::cached)
            return result;
    return probe_byte(file, last);
}

} // namespace

residency_probe::residency_probe(int file) noexcept {
    struct statfs status {};
    if (::fstatfs(file, &status) == 0 && (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC))
        way_ = way::memory;
    else if (cachestat_refused.load(std::memory_order_relaxed))
        way_ = way::nowait;
}

int cachestat_filtered() noexcept {
    const file_descriptor own(::memfd_create("cachestat", MFD_CLOEXEC));
    cachestat_range range{0, page_size};
    cachestat_answer answer{};
    if (!own || ::syscall(cachestat_call, own.get(), &range, &answer, 0) == 0 || errno == ENOSYS)
        return 0;
    return errno;
}

std::string describe_filtered_cachestat(int error) {
    return std::string("a filter of system calls refuses cachestat(2) (") + std::strerror(error) +
           "): preadv2(2) finds out what is in memory instead, and downloads go on as ever. To have "
           "cachestat, allow it in the container's seccomp profile or the unit's SystemCallFilter";
}

bool residency_probe::cached(int file, std::uint64_t offset, std::uint64_t length,
                             clock::time_point now) noexcept {
    const std::uint64_t end = offset + length;
    const bool fresh = now < known_until_;
    if (fresh && offset >= known_from_ && end <= known_to_)
        return true;
    if (!ask(file, offset, length))
        return false;
    if (fresh && offset <= known_to_ && end >= known_from_) {
        known_from_ = std::min(known_from_, offset);
        known_to_ = std::max(known_to_, end);
    } else {
        known_from_ = offset;
        known_to_ = end;
        known_until_ = now + good_for;
    }
    return true;
}

bool residency_probe::ask(int file, std::uint64_t offset, std::uint64_t length) noexcept {
    // Each file begins as its device's first one did, which may have been before a refusal.
    if (way_ == way::cachestat && cachestat_refused.load(std::memory_order_relaxed))
        way_ = way::nowait;
    if (way_ == way::cachestat) {
        const auto result = probe_with_cachestat(file, offset, length);
        if (result != probe_result::unsupported)
            return result == probe_result::cached;
        way_ = way::nowait;
    }
    if (way_ == way::nowait) {
        const auto result = probe_with_nowait(file, offset, length, probe_distance << found_);
        if (result == probe_result::cached) {
            found_ = std::min<std::uint8_t>(found_ + 1, most_doublings);
            return true;
        }
        found_ = 0;
        if (result == probe_result::cold)
            return false;
        way_ = way::unknown;
    }
    return way_ == way::memory;
}

} // namespace dlhandoff::engine
