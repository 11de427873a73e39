#pragma once

#include <cstdint>

namespace dlhandoff::bench {

/// The calling process's own memory, bytes: its proportional share of shared pages (PSS, proc(5),
/// smaps_rollup).
[[nodiscard]] std::int64_t own_memory();

/// All TCP memory of the machine, bytes (/proc/net/sockstat): other programs' too, and in whole pages.
[[nodiscard]] std::int64_t kernel_tcp_memory();

/// What the kernel has charged to the TCP sockets that the calling process holds, bytes (SO_MEMINFO,
/// sock_diag(7)): bytes that wait to be sent, acknowledged or read, and what is reserved for more.
[[nodiscard]] std::int64_t own_socket_memory();

} // namespace dlhandoff::bench
