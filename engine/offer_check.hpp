#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <optional>
#include <span>

namespace dlhandoff::engine {

/// Whether this process can do what an offer asks: its TLS suite is known and its return socket can be
/// connected to, and the descriptors that came with it are what it says: a connected TCP socket, then its
/// regular files in order, readable, each the very file that httpd described, and unchanged by the offer's
/// rule (file_state.hpp), so long enough for the plan.
/// Looks only; any thread.
[[nodiscard]] std::optional<refusal> check_offer(const offer& offered,
                                                 std::span<const file_descriptor> descriptors) noexcept;

} // namespace dlhandoff::engine
