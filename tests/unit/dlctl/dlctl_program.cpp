#include "tests/unit/dlctl/dlctl_program.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// waitpid(2) until the deadline.
bool wait_for(pid_t pid, int& status, int options) {
    const auto deadline = clock::now() + dlctl_program::patience;
    while (clock::now() < deadline) {
        if (::waitpid(pid, &status, options | WNOHANG) == pid)
            return true;
        std::this_thread::sleep_for(3ms);
    }
    return false;
}

} // namespace

dlctl_program::dlctl_program(std::vector<std::string> arguments, int in, int out, int error, bool terminal) {
    arguments.insert(arguments.begin(), DLCTL_PROGRAM);
    std::vector<char*> words;
    for (std::string& each : arguments)
        words.push_back(each.data());
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
        throw_errno("fork");
    if (pid_ > 0)
        return;
    // Only what is async-signal-safe from here on: the test has threads.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(error, 2) < 0)
        ::_exit(126);
    if (terminal && ::ioctl(0, TIOCSCTTY, 0) < 0)
        ::_exit(126);
    ::execv(words[0], words.data());
    ::_exit(127);
}

dlctl_program::~dlctl_program() {
    if (pid_ < 0)
        return;
    ADD_FAILURE() << "dlctl was still there";
    ::kill(pid_, SIGKILL);
    int status;
    ::waitpid(pid_, &status, 0);
}

void dlctl_program::signal(int number) const {
    ASSERT_GT(pid_, 0);
    EXPECT_EQ(::kill(pid_, number), 0) << std::strerror(errno);
}

int dlctl_program::wait() {
    int status = -1;
    if (!test::wait_for(pid_, status, 0)) {
        ADD_FAILURE() << "dlctl has not ended";
        return -1;
    }
    pid_ = -1;
    return status;
}

bool dlctl_program::wait_for_stop() {
    int status = 0;
    return test::wait_for(pid_, status, WUNTRACED) && WIFSTOPPED(status);
}

std::string read_until(int descriptor, std::string so_far,
                       const std::function<bool(const std::string&)>& enough) {
    const auto deadline = clock::now() + dlctl_program::patience;
    while (!enough(so_far)) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
        pollfd readable{descriptor, POLLIN, 0};
        if (left <= 0ms || ::poll(&readable, 1, static_cast<int>(left.count())) == 0) {
            ADD_FAILURE() << "dlctl has not printed what it should; it has printed:\n"
                          << ::testing::PrintToString(so_far);
            return so_far;
        }
        char bytes[4096];
        const ssize_t got = ::read(descriptor, bytes, sizeof bytes);
        if (got <= 0) // EIO: nobody has the terminal open any more
            return so_far;
        so_far.append(bytes, static_cast<std::size_t>(got));
    }
    return so_far;
}

dlctl_result run_dlctl(const std::vector<std::string>& arguments) {
    int out[2], error[2];
    if (::pipe2(out, O_CLOEXEC) < 0 || ::pipe2(error, O_CLOEXEC) < 0)
        throw_errno("pipe2");
    const file_descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const file_descriptor out_reader(out[0]), error_reader(error[0]);
    file_descriptor out_writer(out[1]), error_writer(error[1]);
    dlctl_program program(arguments, nothing.get(), out_writer.get(), error_writer.get());
    out_writer.reset();
    error_writer.reset();
    const auto all = [](const std::string&) { return false; };
    dlctl_result result;
    std::thread errors([&] { result.error = read_until(error_reader.get(), {}, all); });
    result.output = read_until(out_reader.get(), {}, all);
    errors.join();
    const int status = program.wait();
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
}

dlctl_in_terminal::dlctl_in_terminal(const std::vector<std::string>& arguments, unsigned short width,
                                     unsigned short height) {
    const winsize size{height, width, 0, 0};
    int master, slave;
    if (::openpty(&master, &slave, nullptr, nullptr, &size) < 0)
        throw_errno("openpty");
    master_.reset(master);
    slave_.reset(slave);
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    ::fcntl(slave, F_SETFD, FD_CLOEXEC);
    ::tcgetattr(slave, &before_);
    program_ = std::make_unique<dlctl_program>(arguments, slave, slave, slave, true);
}

void dlctl_in_terminal::wait_for(std::string_view text) {
    const std::size_t from = seen_;
    printed_ = read_until(master_.get(), std::move(printed_), [&](const std::string& so_far) {
        const std::size_t found = so_far.find(text, from);
        if (found != std::string::npos)
            seen_ = found + text.size();
        return found != std::string::npos;
    });
    EXPECT_NE(printed_.find(text, from), std::string::npos)
        << ::testing::PrintToString(printed_.substr(from));
}

void dlctl_in_terminal::type(std::string_view keys) const {
    EXPECT_EQ(::write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
}

void dlctl_in_terminal::resize(unsigned short width, unsigned short height) const {
    const winsize size{height, width, 0, 0};
    EXPECT_EQ(::ioctl(master_.get(), TIOCSWINSZ, &size), 0);
}

std::string dlctl_in_terminal::wait_for_end(int& status) {
    status = program_->wait();
    // This process has the terminal open too: no end of file comes, but all has been printed.
    for (pollfd readable{master_.get(), POLLIN, 0}; ::poll(&readable, 1, 0) == 1;) {
        char bytes[4096];
        const ssize_t got = ::read(master_.get(), bytes, sizeof bytes);
        if (got <= 0)
            break;
        printed_.append(bytes, static_cast<std::size_t>(got));
    }
    return printed_;
}

termios dlctl_in_terminal::settings() const {
    termios now{};
    ::tcgetattr(slave_.get(), &now);
    return now;
}

bool dlctl_in_terminal::has_settings_of_before() const {
    const termios now = settings();
    return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag &&
           now.c_cflag == before_.c_cflag && now.c_lflag == before_.c_lflag &&
           std::memcmp(now.c_cc, before_.c_cc, sizeof now.c_cc) == 0;
}

} // namespace dlhandoff::test
