#pragma once

namespace dlhandoff {

/// The release that this program or module was built from: "0.1.0". For people; what decides whether two of
/// them understand each other are the versions of the wire (wire.hpp) and of the board (board.hpp).
[[nodiscard]] const char* release() noexcept;

} // namespace dlhandoff
