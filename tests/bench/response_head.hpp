#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dlhandoff::bench {

/// What a client must know of a response's head to find its end.
struct response_head {
    unsigned status = 0;
    std::size_t size = 0; ///< of the head, with the empty line
    std::uint64_t content_length = 0;
    bool closes = false; ///< Connection: close
};

/// Nothing as long as its end has not come. Throws std::runtime_error if that is no response with a length.
[[nodiscard]] std::optional<response_head> parse_head(std::string_view text);

} // namespace dlhandoff::bench
