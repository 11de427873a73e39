#pragma once

#include "tests/integration/child_process.hpp"
#include "tests/integration/eventually.hpp"
#include "tests/integration/temporary_directory.hpp"

#include <csignal>
#include <memory>
#include <optional>
#include <string>

namespace dlhandoff::test {

/// A dlmanagerd of our own: socket, configuration and logs in `manager` of the test's directory. When the
/// tests run as root it runs as nobody with httpd's group, so that it could not open a served file if it
/// tried.
class private_manager {
  public:
    explicit private_manager(const temporary_directory& directory, std::string configuration = {});
    /// Stops it at once if it runs. When the test has failed, prints what it wrote.
    ~private_manager();
    private_manager(const private_manager&) = delete;
    private_manager& operator=(const private_manager&) = delete;

    /// Starts it and waits until its socket accepts. Throws std::runtime_error with its output if it doesn't.
    void start(std::optional<rlim_t> descriptors = std::nullopt);
    void signal(int number) const { program_->signal(number); }
    /// SIGKILL, and waits for its end.
    void kill();
    /// SIGSTOP, and waits until it stands still; resume() is SIGCONT.
    void hang() const;
    void resume() const { signal(SIGCONT); }
    [[nodiscard]] bool ended(std::chrono::milliseconds within);
    /// Its exit status, once it has ended within the time; -1 if a signal ended it.
    [[nodiscard]] std::optional<int> exit_status(std::chrono::milliseconds within);

    [[nodiscard]] pid_t pid() const { return program_->pid(); }
    [[nodiscard]] std::string socket() const { return directory_ / "manager/manager.sock"; }
    [[nodiscard]] std::string transfer_log() const { return directory_ / "manager/transfers.log"; }
    [[nodiscard]] std::string output() const { return read_file(directory_ / "logs/manager.log"); }

  private:
    const temporary_directory& directory_;
    std::unique_ptr<child_process> program_;
};

/// Whether a manager accepts at this socket: it is there a moment before.
[[nodiscard]] bool accepts(const std::string& path);

} // namespace dlhandoff::test
