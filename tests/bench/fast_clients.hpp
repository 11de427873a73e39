#pragma once

#include <cstdint>

namespace dlhandoff::bench {

/// Connects `count` clients and reads as fast as it can until all have come to their end: how many bytes
/// came. Throws std::system_error when a connection is reset.
[[nodiscard]] std::uint64_t read_to_the_end(std::uint16_t port, unsigned count, bool copy);

} // namespace dlhandoff::bench
