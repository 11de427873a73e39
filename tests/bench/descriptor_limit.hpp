#pragma once

#include <sys/resource.h>

namespace dlhandoff::bench {

/// Sets this process's soft RLIMIT_NOFILE to the hard one, and returns that.
inline rlim_t raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

} // namespace dlhandoff::bench
