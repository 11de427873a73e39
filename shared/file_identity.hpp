#pragma once

#include <cstdint>
#include <optional>

namespace dlhandoff {

/// The open file that httpd means: a manager takes no other, and stops when it changes.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;                ///< bytes
    std::int64_t modified_nanoseconds = 0; ///< mtime, since the epoch

    /// An open file's, as it is now (fstat(2)); nothing if it is not a regular file.
    [[nodiscard]] static std::optional<file_identity> of(int file) noexcept;
    friend bool operator==(const file_identity&, const file_identity&) = default;
};

} // namespace dlhandoff
