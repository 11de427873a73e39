#pragma once

#include "shared/offer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace dlhandoff::engine {

class shared_file;

/// Consecutive bytes of one file that go to several places in memory: one look at the file's state
/// (file_state.hpp) and one preadv(2) for all of them, or a few where its file system gives less at once.
/// Borrows the file and the places until read() has returned.
class scattered_read {
  public:
    /// False: these bytes don't follow what was added before, or there are too many places. Read first.
    [[nodiscard]] bool add(const shared_file& file, std::uint64_t offset,
                           std::span<std::uint8_t> into) noexcept;

    enum class result : std::uint8_t {
        read,    ///< all bytes are in their places; what is added next begins anew
        changed, ///< the file is not what was offered any more
        failed   ///< its file system failed: errno; see file() and offset()
    };
    [[nodiscard]] result read(file_check check) noexcept;

    /// Of the file that was added last, and the offset up to which read() has come in it.
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
