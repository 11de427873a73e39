#pragma once

#include "shared/file_descriptor.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// A socket that leads nowhere: one end of a pair whose other end is closed. Put over a client's descriptor
/// it makes httpd let go of the client for good, while everything that httpd does to end the connection
/// (shutdown, reading what is left, close) goes on working, whatever the MPM. One is enough for a process;
/// any thread may use it.
///
/// The client's own socket must not be shut down instead: that would act on the manager's copy, too.
class dead_socket {
  public:
    /// Invalid, with errno set, if the process has no descriptors left.
    dead_socket() noexcept;
    [[nodiscard]] bool valid() const noexcept { return end_.valid(); }

    /// After a claim: takes the connection away from httpd. `client` is its descriptor.
    void detach(conn_rec* c, int client) const noexcept;

  private:
    file_descriptor end_;
};

} // namespace dlhandoff::httpd
