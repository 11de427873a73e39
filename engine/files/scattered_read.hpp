#pragma once

#include "shared/offer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace dlhandoff::engine {

class shared_file;

/// Reads consecutive bytes of one file into several places in memory, with one look at the file's state
/// (file_state.hpp) and one preadv(2) for all of them, or a few where the file system returns less at once.
/// Borrows the file and the places until read() has returned.
class scattered_read {
  public:
    /// False: these bytes don't follow those added before, or there are too many places; then call read()
    /// first.
    [[nodiscard]] bool add(const shared_file& file, std::uint64_t offset,
                           std::span<std::uint8_t> into) noexcept;

    enum class result : std::uint8_t {
        read,    ///< all bytes are in their places; what is added next begins anew
        changed, ///< the file is no longer what was offered
        failed   ///< the file system failed, with errno; see file() and offset()
    };
    [[nodiscard]] result read(file_check check) noexcept;

    /// The file that was added last, and the offset that read() has reached in it.
    [[nodiscard]] const shared_file& file() const noexcept { return *file_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

  private:
    [[nodiscard]] std::size_t fill(std::size_t first, std::size_t bytes) noexcept;

    const shared_file* file_ = nullptr;
    std::uint64_t offset_ = 0; ///< of the first byte, in the file
    std::uint64_t size_ = 0;
    std::size_t count_ = 0;
    std::array<iovec, 32> places_;
};

} // namespace dlhandoff::engine
