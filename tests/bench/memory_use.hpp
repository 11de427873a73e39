#pragma once

#include <cstdint>
#include <sys/types.h>

namespace dlhandoff::bench {

/// The calling process's own memory, bytes: its proportional share of shared pages (PSS, proc(5),
/// smaps_rollup).
[[nodiscard]] std::int64_t own_memory();
/// Another process's.
[[nodiscard]] std::int64_t memory_of(pid_t process);

/// How often the machine's TCP has come under memory pressure since it started (/proc/net/netstat,
/// TCPMemoryPressures).
[[nodiscard]] std::int64_t tcp_memory_pressures();

/// All TCP memory of the machine, bytes (/proc/net/sockstat): other programs' too, and in whole pages.
[[nodiscard]] std::int64_t kernel_tcp_memory();

/// What the kernel has charged to the TCP sockets that the calling process holds, bytes (SO_MEMINFO,
/// sock_diag(7)): bytes that wait to be sent, acknowledged or read, and what is reserved for more.
[[nodiscard]] std::int64_t own_socket_memory();

} // namespace dlhandoff::bench
