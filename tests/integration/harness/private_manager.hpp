#pragma once

#include "tests/integration/harness/child_process.hpp"
#include "tests/integration/harness/eventually.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace dlhandoff::test {

/// How many managers a private_manager has.
struct manager_count {
    unsigned managers = 1;
    unsigned max_managers = 1;
    std::string duplicate_idle = "60s";
};

/// A dlmanagerd of our own, a supervisor and its managers (one, unless a test asks for more): socket,
/// configuration and logs in `manager` of the test's directory. When the tests run as root it runs as nobody
/// with httpd's group, so that it could not open a served file if it tried.
class private_manager {
  public:
    explicit private_manager(const temporary_directory& directory, std::string configuration = {},
                             const manager_count& count = {});
    /// Stops it at once if it runs. When the test has failed, prints what it wrote.
    ~private_manager();
    private_manager(const private_manager&) = delete;
    private_manager& operator=(const private_manager&) = delete;

    /// Starts it and waits until its socket accepts. Throws std::runtime_error with its output if it doesn't.
    void start(std::optional<rlim_t> descriptors = std::nullopt);
    /// To the supervisor.
    void signal(int number) const { program_->signal(number); }
    /// SIGKILL to the supervisor and all managers, and waits for their ends.
    void kill();
    /// SIGKILL to the supervisor alone, and waits for its end.
    void kill_supervisor();
    /// SIGSTOP to all, and waits until they stand still; resume() is SIGCONT.
    void hang() const;
    void resume() const;
    [[nodiscard]] bool ended(std::chrono::milliseconds within);
    /// Its exit status, once it has ended within the time; -1 if a signal ended it.
    [[nodiscard]] std::optional<int> exit_status(std::chrono::milliseconds within);

    /// The supervisor's.
    [[nodiscard]] pid_t pid() const { return program_->pid(); }
    /// Those that run now, in the order of their starts.
    [[nodiscard]] std::vector<pid_t> managers() const { return children_of(pid()); }
    /// Of a service with one manager.
    [[nodiscard]] pid_t manager_pid() const;
    [[nodiscard]] std::string socket() const { return directory_ / "manager/manager.sock"; }
    [[nodiscard]] std::string admin_socket() const { return directory_ / "manager/admin.sock"; }
    [[nodiscard]] std::string transfer_log() const { return directory_ / "manager/transfers.log"; }
    [[nodiscard]] std::string output() const { return read_file(directory_ / "logs/manager.log"); }

  private:
    const temporary_directory& directory_;
    std::unique_ptr<child_process> program_;
};

/// SIGSTOP, and waits until the process stands still.
void stop_process(pid_t process);

/// Whether a manager accepts at this socket, of a type as of socket(2): it is there a moment before.
[[nodiscard]] bool accepts(const std::string& path, int type = SOCK_SEQPACKET);

} // namespace dlhandoff::test
