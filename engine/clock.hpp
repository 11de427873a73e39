#pragma once

#include <chrono>

namespace dlhandoff::engine {

/// What the engine measures times with: never set back. event_loop::now() has the time of the present round.
using clock = std::chrono::steady_clock;

} // namespace dlhandoff::engine
