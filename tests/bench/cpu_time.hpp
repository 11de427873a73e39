#pragma once

#include <sys/types.h>

namespace dlhandoff::bench {

/// CPU seconds, user and system, of the calling process so far.
[[nodiscard]] double own_cpu_seconds();

/// The same of another process and its children that are alive (proc(5), in steps of 10 ms).
[[nodiscard]] double cpu_seconds_of(pid_t process);

} // namespace dlhandoff::bench
