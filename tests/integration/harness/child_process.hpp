#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace dlhandoff::test {

struct account {
    uid_t user = 0;
    gid_t group = 0;
    std::string user_name;
    std::string group_name;
};

/// Whom httpd's children run as: www-data when the tests run as root, else the tests' own user.
[[nodiscard]] account httpd_account();

/// A program that the test started, in a session of its own: so what it leaves behind can be found, and a
/// signal to its process group (httpd sends such) does not reach the test. If the test dies, the program gets
/// SIGTERM.
class child_process {
  public:
    struct options {
        std::vector<std::string> command;
        std::string output{};                ///< the file that its standard output and error are appended to
        std::optional<account> run_as{};     ///< root only: become this user first
        std::optional<rlim_t> descriptors{}; ///< RLIMIT_NOFILE
        /// Its standard input and output instead; only borrowed. `output` then has its standard error alone.
        int conversation = -1;
        std::vector<std::string> environment{}; ///< "NAME=value", besides the test's own
    };
    /// Call on a thread that outlives the program: its death signal follows the thread that forked.
    explicit child_process(const options& how);
    /// Ends whatever of its session is left, and fails the running test if there was anything.
    ~child_process();
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const;
    [[nodiscard]] bool running();
    /// The status as of waitpid(2), once it has ended within the time.
    [[nodiscard]] std::optional<int> wait_for_exit(std::chrono::milliseconds within);

  private:
    pid_t pid_;
    std::optional<int> status_;
};

/// Runs a command to its end: exit status (-1 if a signal ended it) and everything that it wrote.
struct command_result {
    int status = -1;
    std::string output;
};
[[nodiscard]] command_result run_command(const std::vector<std::string>& command);

/// Processes of a session, without zombies.
[[nodiscard]] std::vector<pid_t> processes_of_session(pid_t session);
/// Children of a process, without zombies.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);
/// Open descriptors of a process, by what they point to, sorted; empty if it is gone.
[[nodiscard]] std::vector<std::string> descriptors_of(pid_t process);

} // namespace dlhandoff::test
