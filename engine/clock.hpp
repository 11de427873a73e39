#pragma once

#include <chrono>

namespace dlhandoff::engine {

/// The clock by which the engine measures time; it is never set back. event_loop::now() is the time of the
/// current round.
using clock = std::chrono::steady_clock;

} // namespace dlhandoff::engine
