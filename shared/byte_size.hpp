#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dlhandoff {

/// A SIZE or RATE of a configuration in bytes: digits, and K, M or G (of 1024 each) if wanted, in either
/// case. Nothing if `text` is anything else or more than 63 bits hold.
[[nodiscard]] std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept;

} // namespace dlhandoff
