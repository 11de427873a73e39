#pragma once

#include "tests/integration/harness/child_process.hpp"
#include "tests/integration/harness/raw_client.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::test {

/// Where a program of the system is, by PATH; empty if it is not installed.
[[nodiscard]] std::string find_program(const std::string& name);

/// Skips the running test if a program is not there; `package` is Debian's.
#define NEEDS_PROGRAM(name, package)                                                                         \
    if (::dlhandoff::test::find_program(name).empty())                                                       \
    GTEST_SKIP() << (name) << " is not installed; Debian has it in the package " << (package)

/// Runs a client to its end: exit status (-1 if a signal ended it, or if it took too long), and what it wrote
/// to its standard error and output.
[[nodiscard]] command_result run_client(std::vector<std::string> command,
                                        std::chrono::milliseconds within = 60s);

/// A client's name, version and TLS library, for people: "curl 7.88.1 (OpenSSL)".
[[nodiscard]] std::string client_version(const std::string& program);

/// A client program that talks to the test: what the test sends is its standard input, what the test reads
/// its standard output. A test that doesn't read makes it wait, and so keeps its download mid-way.
class interactive_client {
  public:
    explicit interactive_client(std::vector<std::string> command);
    /// Ends it if it still runs.
    ~interactive_client();
    interactive_client(const interactive_client&) = delete;
    interactive_client& operator=(const interactive_client&) = delete;

    [[nodiscard]] raw_client& io() noexcept { return io_.value(); }
    /// Its standard error so far.
    [[nodiscard]] std::string messages() const { return read_file(directory_ / "messages"); }
    /// Its exit status once it has ended within the time; -1 otherwise.
    [[nodiscard]] int exit_status(std::chrono::milliseconds within = 20s);

  private:
    temporary_directory directory_;
    std::optional<raw_client> io_;
    std::unique_ptr<child_process> program_;
};

} // namespace dlhandoff::test
