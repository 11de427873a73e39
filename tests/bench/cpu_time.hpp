#pragma once

#include <span>
#include <sys/types.h>

namespace dlhandoff::bench {

/// CPU seconds, user and system, of the calling process so far.
[[nodiscard]] double own_cpu_seconds();

/// The same of another process and its children that are alive (proc(5), in steps of 10 ms).
[[nodiscard]] double cpu_seconds_of(pid_t process);

/// The same of several processes and all that descend from them, to the nanosecond (schedstat of each thread,
/// proc(5)). Threads that have ended are not counted.
[[nodiscard]] double cpu_seconds_of_all(std::span<const pid_t> processes);

} // namespace dlhandoff::bench
