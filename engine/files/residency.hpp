#pragma once

#include "engine/clock.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace dlhandoff::engine {

/// Tells whether a stretch of a file can be read without waiting for a disk.
///
/// cachestat(2) (Linux 6.5) knows, but since Linux 6.14 it answers only processes that may write the file;
/// and since Linux 5.2, mincore(2) tells other processes that everything is resident. Where cachestat is
/// refused, preadv2(2) with RWF_NOWAIT probes single bytes; a miss may start the read, so the next answer can
/// be better than the truth. The more of the file was found in memory, the fewer bytes are probed, since cold
/// bytes nearly always come in long runs. Where that isn't supported either (FUSE, NFS), every stretch counts
/// as cold.
class residency_probe {
  public:
    residency_probe() noexcept = default;
    /// Chooses the method for this open file; borrows the descriptor for the call only.
    explicit residency_probe(int file) noexcept;

    /// How long we assume that what was found in memory stays there.
    static constexpr std::chrono::seconds good_for{1};

    /// True if [offset, offset + length) is in memory, as far as can be told.
    [[nodiscard]] bool cached(int file, std::uint64_t offset, std::uint64_t length,
                              clock::time_point now) noexcept;

  private:
    enum class way : std::uint8_t { memory, cachestat, nowait, unknown };
    [[nodiscard]] bool ask(int file, std::uint64_t offset, std::uint64_t length) noexcept;

    way way_ = way::cachestat;
    std::uint8_t found_ = 0;       ///< consecutive stretches found in memory, as far as that matters
    std::uint64_t known_from_ = 0; ///< what was found in memory, until known_until_
    std::uint64_t known_to_ = 0;
    clock::time_point known_until_{};
};

/// The errno with which a filter (seccomp(2), set by a container or by systemd's SystemCallFilter, for
/// example) turns away this process's calls of cachestat(2). It is tried on a file of its own, for which a
/// kernel that has the call always answers. 0: there is no such filter, or the kernel has no such call, or a
/// filter pretends that it has none. Asks the kernel at each call.
[[nodiscard]] int cachestat_filtered() noexcept;

/// What an errno of cachestat_filtered() means, as a sentence for a log.
[[nodiscard]] std::string describe_filtered_cachestat(int error);

} // namespace dlhandoff::engine
