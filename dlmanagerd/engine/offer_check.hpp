#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <optional>
#include <span>

namespace dlhandoff::engine {

/// Whether the descriptors that came with an offer are what it says: a connected TCP socket, then its regular
/// files in order, readable, each the very file that httpd described and long enough for the plan. Looks
/// only; any thread.
[[nodiscard]] std::optional<refusal> check_descriptors(const offer& offered,
                                                       std::span<const file_descriptor> descriptors) noexcept;

} // namespace dlhandoff::engine
