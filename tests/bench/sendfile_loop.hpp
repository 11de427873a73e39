#pragma once

#include "shared/file_descriptor.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace dlhandoff::bench {

/// The least that a server can do: epoll(7), and sendfile(2) until the socket is full. What the engine is
/// measured against. Returns when every client has been sent all and has closed. `unsent_low_water`:
/// TCP_NOTSENT_LOWAT, 0 for none.
void send_with_sendfile_loop(std::vector<file_descriptor> connections, std::string_view head, int file,
                             std::uint64_t size, std::uint64_t times, int unsent_low_water);

} // namespace dlhandoff::bench
