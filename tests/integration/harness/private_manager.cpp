#include "tests/integration/harness/private_manager.hpp"

#include "shared/file_descriptor.hpp"
#include "shared/unix_address.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

/// Nobody, but in the group of httpd's children: the socket has mode 0660.
account manager_account() {
    account found = httpd_account();
    if (::geteuid() != 0)
        return found;
    const passwd* nobody = ::getpwnam("nobody");
    if (nobody == nullptr)
        throw std::runtime_error("no user nobody on this machine");
    found.user = nobody->pw_uid;
    found.user_name = nobody->pw_name;
    return found;
}

} // namespace

bool accepts(const std::string& path, int type) {
    const file_descriptor probe(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    return unix_address::of(path).value().connect(probe.get());
}

private_manager::private_manager(const temporary_directory& directory, std::string configuration,
                                 const manager_count& count)
    : directory_(directory) {
    const std::string folder = directory_.make_directory("manager");
    directory_.make_directory("logs");
    if (::geteuid() == 0) {
        const account owner = manager_account();
        if (::chown(folder.c_str(), owner.user, owner.group) < 0)
            throw_errno("chown(manager directory)");
    }
    std::ostringstream out;
    out << "listen = \"" << socket() << "\"\nallow_users = [\"" << httpd_account().user_name
        << "\"]\ndrain_timeout = \"20s\"\nmanagers = " << count.managers
        << "\nmax_managers = " << count.max_managers << "\nduplicate_idle = \"" << count.duplicate_idle
        << "\"\n[log]\nlevel = \"debug\"\ntransfers = \"" << transfer_log() << "\"\n"
        << configuration;
    write_file(directory_ / "manager/dlmanagerd.toml", out.str());
}

private_manager::~private_manager() {
    if (program_ && program_->running()) {
        resume();
        program_->signal(SIGINT);
        if (!program_->wait_for_exit(10s)) {
            ADD_FAILURE() << "dlmanagerd did not stop within 10 s of SIGINT";
            kill();
        }
    }
    program_.reset();
    if (::testing::Test::HasFailure())
        std::cerr << "---- dlmanagerd\n" << output() << "----\n";
}

void private_manager::start(std::optional<rlim_t> descriptors) {
    program_.reset();
    program_ = std::make_unique<child_process>(child_process::options{
        .command = {DLMANAGERD_PROGRAM, "--config", directory_ / "manager/dlmanagerd.toml"},
        .output = directory_ / "logs/manager.log",
        .run_as = manager_account(),
        .descriptors = descriptors});
    const bool up = eventually([this] { return !program_->running() || accepts(socket()); });
    if (!up || !program_->running())
        throw std::runtime_error("dlmanagerd does not accept: " + output());
}

void private_manager::kill_supervisor() {
    program_->signal(SIGKILL);
    if (!program_->wait_for_exit(10s))
        throw std::runtime_error("dlmanagerd survived SIGKILL");
}

void private_manager::kill() {
    // The supervisor stands still first, so that it starts no manager meanwhile.
    stop_process(pid());
    for (const pid_t manager : managers())
        ::kill(manager, SIGKILL);
    kill_supervisor();
    if (!eventually([this] { return processes_of_session(pid()).empty(); }))
        throw std::runtime_error("a manager survived SIGKILL");
}

void private_manager::hang() const {
    stop_process(pid());
    for (const pid_t manager : managers())
        stop_process(manager);
}

void private_manager::resume() const {
    for (const pid_t manager : managers())
        ::kill(manager, SIGCONT);
    signal(SIGCONT);
}

pid_t private_manager::manager_pid() const {
    const auto all = managers();
    if (all.size() != 1)
        throw std::runtime_error("not one manager, but " + std::to_string(all.size()));
    return all.front();
}

void stop_process(pid_t process) {
    ::kill(process, SIGSTOP);
    const std::string status = "/proc/" + std::to_string(process) + "/status";
    if (!eventually([&] { return read_file(status).find("State:\tT") != std::string::npos; }))
        throw std::runtime_error("process " + std::to_string(process) + " does not stop");
}

bool private_manager::ended(std::chrono::milliseconds within) {
    return program_->wait_for_exit(within).has_value();
}

std::optional<int> private_manager::exit_status(std::chrono::milliseconds within) {
    const auto status = program_->wait_for_exit(within);
    if (!status)
        return std::nullopt;
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
}

} // namespace dlhandoff::test
