#pragma once

#include "engine/client/channel.hpp"
#include "engine/clock.hpp"
#include "engine/files/file_table.hpp"
#include "engine/response_cursor.hpp"
#include "shared/offer.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace dlhandoff::engine {

/// A response under way: the offer as it came, its files, and how far the client's socket has been given it.
/// One thread, the loop's.
class response {
  public:
    /// What is asked about, or read ahead, at once, bytes.
    static constexpr std::uint64_t stretch = 512 * 1024;

    response(offer offered, std::vector<file_reference> files) noexcept
        : offer_(std::move(offered)), files_(std::move(files)), length_(offer_.response_bytes()) {}

    [[nodiscard]] const dlhandoff::offer& what() const noexcept { return offer_; }
    /// Bytes, head and body; so is position().
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    /// What the kernel has been given; with TLS in whole records.
    [[nodiscard]] std::uint64_t position() const noexcept { return cursor_.position(); }
    [[nodiscard]] std::uint64_t left() const noexcept { return length_ - cursor_.position(); }
    void advance(std::uint64_t bytes) noexcept { cursor_.advance(offer_.pieces(), bytes); }

    /// From now on it is 503, which names a time to try again (busy_response.hpp). Nothing has been sent yet.
    /// Throws std::bad_alloc.
    void turn_away(std::chrono::milliseconds retry_after);

    /// A stretch of a file that is not in memory.
    struct cold_stretch {
        file_reference file;
        std::uint64_t offset;
        std::uint64_t length;
    };
    /// What comes next, for a channel.
    class parts {
      public:
        [[nodiscard]] std::span<const channel::part> all() const noexcept { return {parts_.data(), count_}; }
        [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
        /// Where they end since it has to be read first. It counts as in memory from now on: not twice.
        [[nodiscard]] const std::optional<cold_stretch>& cold() const noexcept { return cold_; }
        /// Keeps the first so many bytes only.
        void truncate(std::uint64_t bytes) noexcept;

      private:
        friend class response;
        std::array<channel::part, 16> parts_;
        std::size_t count_ = 0;
        std::uint64_t bytes_ = 0;
        std::optional<cold_stretch> cold_;
    };
    /// Up to `most` bytes from the position on, as far as they are in memory. Of a file, the next `at_once`
    /// bytes must be, if there are so many.
    [[nodiscard]] parts next(std::uint64_t most, std::uint64_t at_once, clock::time_point now);

  private:
    [[nodiscard]] bool is_warm(const response_cursor& at, std::uint64_t needed, clock::time_point now);

    dlhandoff::offer offer_;
    std::vector<file_reference> files_;
    std::uint64_t length_;
    response_cursor cursor_;
    std::uint64_t warm_until_ = 0; ///< file offset up to which piece warm_piece_ is known to be in memory
    std::uint32_t warm_piece_ = 0;
};

} // namespace dlhandoff::engine
