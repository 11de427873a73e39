#include "tests/integration/harness/child_process.hpp"

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/eventually.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

struct process_state {
    pid_t pid = 0;
    char state = '?';
    pid_t parent = 0;
    pid_t session = 0;
};

/// Fields of /proc/PID/stat (proc(5)); the program's name may hold spaces and brackets, so from its last
/// bracket on.
std::optional<process_state> state_of(const std::string& pid) {
    const std::string text = read_file("/proc/" + pid + "/stat");
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    process_state found;
    pid_t group = 0;
    if (std::sscanf(text.c_str() + name_end + 1, " %c %d %d %d", &found.state, &found.parent, &group,
                    &found.session) != 4)
        return std::nullopt;
    found.pid = std::stoi(pid);
    return found;
}

template <class Predicate>
std::vector<pid_t> processes(Predicate&& wanted) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos)
            continue;
        const auto state = state_of(name);
        if (state && state->state != 'Z' && state->state != 'X' && wanted(*state))
            found.push_back(state->pid);
    }
    return found;
}

/// As execve(2) wants them.
std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts)
        pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// After fork(): only what is async-signal-safe.
[[noreturn]] void become(char* const* arguments, char* const* environment, int output,
                         const child_process::options& how, pid_t parent) {
    ::setsid();
    if (how.descriptors) {
        const rlimit limit{*how.descriptors, *how.descriptors};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (how.run_as && ::geteuid() == 0 &&
        (::setgroups(0, nullptr) < 0 || ::setgid(how.run_as->group) < 0 || ::setuid(how.run_as->user) < 0))
        ::_exit(126);
    // After setuid(2), which clears it.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent)
        ::_exit(126);
    if (how.conversation >= 0)
        ::dup2(how.conversation, STDIN_FILENO);
    ::dup2(how.conversation >= 0 ? how.conversation : output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

} // namespace

account httpd_account() {
    account found;
    const bool root = ::geteuid() == 0;
    const passwd* user = root ? ::getpwnam("www-data") : ::getpwuid(::geteuid());
    if (user == nullptr)
        throw std::runtime_error(root ? "no user www-data on this machine" : "the tests' user has no name");
    found.user = user->pw_uid;
    found.group = user->pw_gid;
    found.user_name = user->pw_name;
    const group* its_group = ::getgrgid(found.group);
    found.group_name = its_group != nullptr ? its_group->gr_name : std::to_string(found.group);
    return found;
}

child_process::child_process(const options& how) {
    const std::vector<char*> arguments = pointers_to(how.command);
    std::vector<std::string> variables(how.environment);
    for (char** variable = environ; *variable != nullptr; ++variable)
        variables.emplace_back(*variable);
    const std::vector<char*> environment = pointers_to(variables);
    const std::string output = how.output.empty() ? "/dev/null" : how.output;
    const file_descriptor log(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!log)
        throw_errno("open(output of the started program)");
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0)
        throw_errno("fork");
    if (pid_ == 0)
        become(arguments.data(), environment.data(), log.get(), how, parent);
}

child_process::~child_process() {
    const auto gone = [this] {
        (void)running();
        return processes_of_session(pid_).empty();
    };
    // Children that httpd has told to end may need a moment longer than it.
    if (status_ && eventually(gone, 5s))
        return;
    ADD_FAILURE() << "left behind by process " << pid_
                  << (status_ ? ": other processes of its session" : ": it still runs");
    for (const pid_t left : processes_of_session(pid_))
        ::kill(left, SIGKILL);
    (void)eventually(gone, 5s);
}

void child_process::signal(int number) const {
    if (!status_)
        ::kill(pid_, number);
}

bool child_process::running() {
    if (status_)
        return false;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_)
        status_ = status;
    return !status_;
}

std::optional<int> child_process::wait_for_exit(std::chrono::milliseconds within) {
    (void)eventually([this] { return !running(); }, within);
    return status_;
}

command_result run_command(const std::vector<std::string>& command) {
    const temporary_directory directory;
    const std::string output = directory / "output";
    child_process program({.command = command, .output = output, .run_as = {}, .descriptors = {}});
    const auto status = program.wait_for_exit(60s);
    if (!status) {
        program.signal(SIGKILL);
        (void)program.wait_for_exit(10s);
        throw std::runtime_error(command.front() + " did not end within a minute");
    }
    return {WIFEXITED(*status) ? WEXITSTATUS(*status) : -1, read_file(output)};
}

std::vector<pid_t> processes_of_session(pid_t session) {
    return processes([session](const process_state& one) { return one.session == session; });
}

std::vector<pid_t> children_of(pid_t parent) {
    return processes([parent](const process_state& one) { return one.parent == parent; });
}

std::vector<std::string> descriptors_of(pid_t process) {
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd", error)) {
        const auto target = std::filesystem::read_symlink(entry.path(), error);
        if (!error)
            found.push_back(target.string());
    }
    std::ranges::sort(found);
    return found;
}

} // namespace dlhandoff::test
