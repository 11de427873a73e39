#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dlhandoff {

/// Parses a SIZE or RATE of a configuration, in bytes: digits, optionally followed by K, M or G (powers of
/// 1024) in either case. nullopt if `text` is anything else, or the value does not fit into 63 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept;

} // namespace dlhandoff
