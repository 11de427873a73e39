#pragma once

/// What this module must know of the MPM that runs.
namespace dlhandoff::httpd {

/// One connection at a time in each child, as prefork (or mpm_itk, which is built on it) has it. Not before
/// the MPM is loaded.
[[nodiscard]] bool is_prefork() noexcept;

/// A child's connection that came back is no new one for MaxConnectionsPerChild: call once for each that was
/// accepted at the return socket, on the thread that accepted it. Does nothing under worker and event, which
/// count down in a variable of their own.
void leave_out_of_connection_count() noexcept;

} // namespace dlhandoff::httpd
