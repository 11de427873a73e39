#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <optional>
#include <span>

namespace dlhandoff::engine {

/// Checks whether this process can do what an offer asks: its TLS suite must be known and its return socket
/// within reach, and the descriptors that came with it must be what it says. These are a connected TCP
/// socket, then its regular files in order, each readable, the very file that httpd described, and unchanged
/// by the offer's rule (file_state.hpp), hence long enough for the plan. Changes nothing. Any thread.
[[nodiscard]] std::optional<refusal> check_offer(const offer& offered,
                                                 std::span<const file_descriptor> descriptors) noexcept;

} // namespace dlhandoff::engine
