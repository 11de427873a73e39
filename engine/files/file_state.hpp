#pragma once

#include "shared/offer.hpp"

#include <cstdint>

namespace dlhandoff::engine {

enum class file_state : std::uint8_t {
    as_offered, ///< all that the response needs can still be sent
    changed,    ///< it has changed, by the offer's file_check
    unreadable  ///< the file system doesn't say: errno says why
};

/// What has become of an open file since the offer. The rule compares size and mtime then and now:
///
/// - Shorter: changed. Bytes that were announced may be missing.
/// - Longer: as offered. Logs and recordings grow while they are downloaded, and what was announced is there.
/// - A different mtime and the same size: changed if `check` is file_check::mtime. By default not, since
/// mtimes of
///   network and FUSE file systems drift, and neither the time nor anything else that the kernel tells a
///   reader says whether any byte has changed.
///
/// One system call, two if the file seems to have changed. It may wait for a file system that is not local.
[[nodiscard]] file_state state_of(int file, const file_identity& offered, file_check check) noexcept;

/// Network and FUSE file systems may interrupt calls (EINTR) though no signal has come, and may read nothing
/// where there is something. Neither means a change: the caller tries again, but at most this many times in a
/// row, since some file systems would never stop.
inline constexpr int most_fruitless_reads = 4;

} // namespace dlhandoff::engine
