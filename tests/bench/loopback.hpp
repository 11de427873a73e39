#pragma once

#include "shared/file_descriptor.hpp"

#include <cstdint>
#include <vector>

namespace dlhandoff::bench {

/// A listening TCP socket on a free port of 127.0.0.1. Made before its clients are forked, so that none comes
/// too early.
class loopback_listener {
  public:
    loopback_listener();
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// The next `count` connections, non-blocking as APR has them.
    [[nodiscard]] std::vector<file_descriptor> accept(std::size_t count) const;

  private:
    file_descriptor socket_;
    std::uint16_t port_ = 0;
};

/// A connection to 127.0.0.1, non-blocking and perhaps not yet established. `receive_buffer`: SO_RCVBUF in
/// bytes, 0 as the kernel sees fit.
[[nodiscard]] file_descriptor connect_to_loopback(std::uint16_t port, int receive_buffer);

} // namespace dlhandoff::bench
