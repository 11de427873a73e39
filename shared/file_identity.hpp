#pragma once

#include <cstdint>
#include <optional>

namespace dlhandoff {

/// Identifies the open file that httpd means: a manager accepts no other, and stops sending when the file
/// changes.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;                ///< bytes
    std::int64_t modified_nanoseconds = 0; ///< mtime, since the epoch

    /// The identity of an open file as it is now (fstat(2)); nullopt if it is not a regular file.
    [[nodiscard]] static std::optional<file_identity> of(int file) noexcept;
    friend bool operator==(const file_identity&, const file_identity&) = default;
};

} // namespace dlhandoff
