#pragma once

#include "tests/bench/loopback.hpp"
#include "tests/integration/harness/private_httpd.hpp"

#include <arpa/inet.h>
#include <stdexcept>

namespace dlhandoff::bench {

/// Where it listens for HTTP.
inline loopback_address address_of(const test::private_httpd& httpd) {
    in_addr host{};
    if (::inet_pton(AF_INET, httpd.address().c_str(), &host) != 1)
        throw std::runtime_error("not an address: " + httpd.address());
    return {httpd.port(), ntohl(host.s_addr)};
}

} // namespace dlhandoff::bench
