#pragma once

#include "shared/file_descriptor.hpp"

#include <cstdint>
#include <string>
#include <thread>

namespace dlhandoff::test {

/// An HTTP server that gives everybody the same response, on a thread of its own: one connection at a time,
/// one request each.
class canned_server {
  public:
    /// At a free port of an IPv4 address, or at a Unix socket if `address` is a path. `response`: head and
    /// body.
    canned_server(const std::string& address, std::string response);
    ~canned_server();
    canned_server(const canned_server&) = delete;
    canned_server& operator=(const canned_server&) = delete;

    /// 0 at a Unix socket.
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  private:
    void listen_at_path(const std::string& path);
    void listen_at_address(const std::string& address);
    void serve();

    std::string response_;
    file_descriptor listener_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

} // namespace dlhandoff::test
