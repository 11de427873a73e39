#include "dlmanagerd/descriptor_limit.hpp"

#include "shared/file_descriptor.hpp"

#include <cerrno>
#include <cstring>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

namespace dlhandoff::service {

std::uint64_t set_descriptor_limit(std::uint32_t wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0)
        throw_errno("getrlimit(RLIMIT_NOFILE)");
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = wanted != 0 && wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (wanted > limit.rlim_max)
        spdlog::warn(
            "limits.descriptors is {}, but this process may have {} only; raise its hard limit (LimitNOFILE "
            "in the systemd unit, ulimit -Hn in a shell)",
            wanted, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        spdlog::warn("cannot set the limit of descriptors to {} ({}); it stays at {}", limit.rlim_cur,
                     std::strerror(errno), before);
        return before;
    }
    return limit.rlim_cur;
}

} // namespace dlhandoff::service
