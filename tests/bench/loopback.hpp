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

/// Where a server listens.
struct loopback_address {
    std::uint16_t port = 0;
    std::uint32_t host = 0x7f000001; ///< of 127.0.0.0/8, in the machine's byte order
};

/// A connection, non-blocking and perhaps not yet established. `receive_buffer`: SO_RCVBUF in bytes, 0 as the
/// kernel sees fit.
/// `source`: the client's own address of 127.0.0.0/8; 0: as the kernel sees fit.
[[nodiscard]] file_descriptor connect_to(const loopback_address& server, int receive_buffer = 0,
                                         std::uint32_t source = 0);

} // namespace dlhandoff::bench
