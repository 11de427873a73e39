#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace dlhandoff::engine {

class shared_file;

/// Consecutive bytes of one file that go to several places in memory: one fstat(2) and one preadv(2) for all
/// of them. Borrows the file and the places until read() has returned.
class scattered_read {
  public:
    /// False: these bytes don't follow what was added before, or there are too many places. Read first.
    [[nodiscard]] bool add(const shared_file& file, std::uint64_t offset,
                           std::span<std::uint8_t> into) noexcept;

    enum class result : std::uint8_t {
        read,    ///< all bytes are in their places; what is added next begins anew
        changed, ///< the file is not what httpd saw, or it ends too early
        failed   ///< errno says why
    };
    [[nodiscard]] result read() noexcept;

  private:
    const shared_file* file_ = nullptr;
    std::uint64_t offset_ = 0; ///< of the first byte, in the file
    std::uint64_t size_ = 0;
    std::size_t count_ = 0;
    std::array<iovec, 32> places_;
};

} // namespace dlhandoff::engine
