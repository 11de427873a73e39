#pragma once

#include "tests/bench/loopback.hpp"

#include <string>

namespace dlhandoff::bench {

/// The least that a file server over HTTP can do: one thread, epoll(7), and sendfile(2) until the socket is
/// full. It knows GET, keeps connections alive, and opens each file of `folder` once. Serves until the
/// process is ended; throws std::system_error.
[[noreturn]] void serve_with_sendfile(const loopback_address& at, const std::string& folder);

} // namespace dlhandoff::bench
