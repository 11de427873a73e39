#pragma once

#include <cerrno>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

namespace dlhandoff::test {

/// From now on this process, and those that it starts, have EPERM for the system call of this number, as
/// from a container's seccomp profile. There is no way back. False if the kernel has no filters. The
/// architecture is not looked at: all that runs here is of the test's own.
[[nodiscard]] inline bool refuse_system_call(unsigned number) {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{static_cast<unsigned short>(sizeof rules / sizeof *rules), rules};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// The same on every architecture.
inline constexpr unsigned cachestat_number = 451;

} // namespace dlhandoff::test
