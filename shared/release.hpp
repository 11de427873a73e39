#pragma once

namespace dlhandoff {

/// The release that this program or module was built from: "0.1.0". For people only: whether two releases
/// understand each other depends on the versions of the wire (wire.hpp) and of the board (board.hpp).
[[nodiscard]] const char* release() noexcept;

} // namespace dlhandoff
