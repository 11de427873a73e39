#pragma once

#include "shared/offer.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace dlhandoff::engine {

class shared_file;

/// Bytes of a file that could not be read: the downloads that need them end, with outcome `error`.
struct file_failure {
    file_identity identity;
    std::string path;         ///< as this process sees it; empty if the kernel doesn't tell
    std::uint64_t offset = 0; ///< where the unreadable bytes begin; sometimes a little before
    int error = 0;            ///< errno
};

/// What failed, with the file's name from /proc/self/fd.
[[nodiscard]] file_failure failure_of(const shared_file& file, std::uint64_t offset, int error);

/// What happened, and what it means for downloads, as a sentence for a log.
[[nodiscard]] std::string describe(const file_failure& failure);

/// Called on the engine's thread for each download that ends this way; whoever logs it must bound how often.
/// May be empty.
using file_failure_hook = std::function<void(const file_failure&)>;

} // namespace dlhandoff::engine
