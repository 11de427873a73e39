#include "tests/integration/interop/client_program.hpp"

#include "shared/file_descriptor.hpp"

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

/// What a program can write before its reader must read.
constexpr int conversation_buffer = 65536;

std::pair<file_descriptor, file_descriptor> make_conversation() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        throw_errno("socketpair");
    std::pair<file_descriptor, file_descriptor> both{file_descriptor(ends[0]), file_descriptor(ends[1])};
    if (::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &conversation_buffer, sizeof conversation_buffer) < 0)
        throw_errno("setsockopt(SO_SNDBUF)");
    return both;
}

std::vector<std::string> with_path(std::vector<std::string> command) {
    const std::string found = find_program(command.front());
    if (found.empty())
        throw std::runtime_error(command.front() + " is not installed");
    command.front() = found;
    return command;
}

void end(child_process& program) {
    program.signal(SIGTERM);
    if (!program.wait_for_exit(10s)) {
        program.signal(SIGKILL);
        (void)program.wait_for_exit(5s);
    }
}

} // namespace

std::string find_program(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');)
        if (const std::string file = folder + '/' + name; ::access(file.c_str(), X_OK) == 0)
            return file;
    return {};
}

command_result run_client(std::vector<std::string> command, std::chrono::milliseconds within) {
    const temporary_directory directory;
    const std::string output = directory / "output";
    child_process program({.command = with_path(std::move(command)), .output = output});
    const auto status = program.wait_for_exit(within);
    if (!status)
        end(program);
    return {status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1, read_file(output)};
}

std::string client_version(const std::string& program) {
    const bool is_openssl = program == "openssl";
    const std::string said = run_client({program, is_openssl ? "version" : "--version"}).output;
    constexpr std::string_view digits = "0123456789";
    // The first word that is a number: "aria2 version 1.36.0". A browser complains of this and that before.
    std::size_t at = program == "chromium" ? said.find("Chromium ") : 0;
    do {
        at = said.find(' ', at);
        if (at == std::string::npos)
            return program;
        ++at;
    } while (digits.find(said[at]) == std::string_view::npos);
    // A browser's version changes often: its first number is enough.
    const std::size_t end =
        said.find_first_not_of(program == "chromium" ? digits : std::string_view("0123456789."), at);
    const std::string version = ' ' + said.substr(at, end - at);
    if (is_openssl)
        return "openssl s_client" + version;
    if (said.find("OpenSSL") != std::string::npos)
        return program + version + " (OpenSSL)";
    if (said.find("GnuTLS/") != std::string::npos || said.find("+ssl/gnutls") != std::string::npos)
        return program + version + " (GnuTLS)";
    return program + version;
}

interactive_client::interactive_client(std::vector<std::string> command) {
    auto [ours, its] = make_conversation();
    io_.emplace(std::move(ours));
    program_ =
        std::make_unique<child_process>(child_process::options{.command = with_path(std::move(command)),
                                                               .output = directory_ / "messages",
                                                               .conversation = its.get()});
}

interactive_client::~interactive_client() {
    if (program_->running())
        end(*program_);
}

int interactive_client::exit_status(std::chrono::milliseconds within) {
    const auto status = program_->wait_for_exit(within);
    return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
}

} // namespace dlhandoff::test
