#pragma once

#include "shared/offer.hpp"

#include <cstdint>
#include <span>

namespace dlhandoff::engine {

/// A position in a response, and the piece of the plan that it is in. It is a value: several cursors can be
/// at different places of the same response.
class response_cursor {
  public:
    /// Bytes of the response that lie before it.
    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    /// The index of the piece that the next byte comes from; the number of pieces at the end.
    [[nodiscard]] std::size_t piece() const noexcept { return piece_; }
    /// Bytes of that piece that lie before the cursor.
    [[nodiscard]] std::uint64_t within() const noexcept { return position_ - piece_start_; }

    void advance(std::span<const plan_piece> pieces, std::uint64_t bytes) noexcept {
        position_ += bytes;
        while (piece_ < pieces.size() && position_ - piece_start_ >= pieces[piece_].length)
            piece_start_ += pieces[piece_++].length;
    }

  private:
    std::uint64_t position_ = 0;
    std::uint64_t piece_start_ = 0;
    std::size_t piece_ = 0;
};

} // namespace dlhandoff::engine
