#pragma once

#include "engine/clock.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace dlhandoff::engine {

/// Tells whether a stretch of a file can be read without waiting for a disk.
///
/// cachestat(2) (Linux 6.5) knows; but since Linux 6.14 it answers only those who may write the file, and
/// mincore(2) has told the others that everything is resident since Linux 5.2. Where cachestat is refused,
/// preadv2(2) with RWF_NOWAIT of single bytes finds out; a miss may start the read, so the next answer can be
/// better than the truth. The more of the file was found in memory, the fewer bytes are tried: what is not in
/// memory is so in long runs, nearly always. Where that isn't supported either (FUSE, NFS), every stretch
/// counts as cold.
class residency_probe {
  public:
    residency_probe() noexcept = default;
    /// Chooses the way for this open file; borrows the descriptor for the call only.
    explicit residency_probe(int file) noexcept;

    /// What has been found in memory stays there for so long, we may assume.
    static constexpr std::chrono::seconds good_for{1};

    /// True if [offset, offset + length) is in memory, as far as can be told.
    [[nodiscard]] bool cached(int file, std::uint64_t offset, std::uint64_t length,
                              clock::time_point now) noexcept;

  private:
    enum class way : std::uint8_t { memory, cachestat, nowait, unknown };
    [[nodiscard]] bool ask(int file, std::uint64_t offset, std::uint64_t length) noexcept;

    way way_ = way::cachestat;
    std::uint8_t found_ = 0;       ///< stretches in memory in a row, as far as that matters
    std::uint64_t known_from_ = 0; ///< what was found in memory, until known_until_
    std::uint64_t known_to_ = 0;
    clock::time_point known_until_{};
};

/// The errno with which this process's calls of cachestat(2) are turned away by a filter (seccomp(2), as of a
/// container or of systemd's SystemCallFilter): on a file of its own, which a kernel that has the call always
/// answers for. 0: none is, or the kernel has no such call, or pretends so. Asks the kernel at each call.
[[nodiscard]] int cachestat_filtered() noexcept;

/// What an errno of cachestat_filtered() means, as a sentence for a log.
[[nodiscard]] std::string describe_filtered_cachestat(int error);

} // namespace dlhandoff::engine
