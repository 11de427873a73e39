#pragma once

#include "tests/bench/loopback.hpp"
#include "tests/integration/harness/child_process.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <memory>
#include <string>

namespace dlhandoff::bench {

/// nginx as its documentation has it for files over HTTPS (sendfile, tcp_nopush), serving the directory's
/// htdocs with the certificate that https_configuration() has made there.
class private_nginx {
  public:
    /// Whether there is one on this machine.
    [[nodiscard]] static bool installed();

    /// Throws std::runtime_error if it does not answer. `workers`: its worker_processes.
    private_nginx(const test::temporary_directory& directory, const std::string& address,
                  const std::string& workers);
    ~private_nginx();
    private_nginx(const private_nginx&) = delete;
    private_nginx& operator=(const private_nginx&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return program_->pid(); }
    [[nodiscard]] std::uint16_t port() const noexcept { return 8444; }

  private:
    std::unique_ptr<test::child_process> program_;
};

} // namespace dlhandoff::bench
