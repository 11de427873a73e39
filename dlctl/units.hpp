#pragma once

#include <cstdint>
#include <optional>
#include <string>

/// Numbers for people: 1 kB is 1,000 bytes.
namespace dlhandoff::dlctl {

[[nodiscard]] std::string size_text(std::uint64_t bytes);            ///< "999 B", "1.5 kB", "120 MB"
[[nodiscard]] std::string rate_text(std::uint64_t bytes_per_second); ///< "1.5 kB/s"
/// "0:05", "1:02:03", "3 d 04:05"; "-" for none.
[[nodiscard]] std::string time_text(std::optional<std::uint64_t> seconds);

} // namespace dlhandoff::dlctl
