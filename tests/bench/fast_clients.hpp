#pragma once

#include "tests/bench/loopback.hpp"

#include <cstdint>
#include <string>

namespace dlhandoff::bench {

/// Connects `count` clients and reads as fast as it can until all have come to their end: how many bytes
/// came. Throws std::system_error when a connection is reset.
[[nodiscard]] std::uint64_t read_to_the_end(std::uint16_t port, unsigned count, bool copy);

/// The same over HTTPS, with a request of each; counted is what came on the wire after the handshake, TLS
/// records and all.
[[nodiscard]] std::uint64_t download_over_tls(const loopback_address& server, unsigned count,
                                              const std::string& request);

} // namespace dlhandoff::bench
