#include "tests/integration/harness/private_httpd.hpp"

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/raw_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

/// An address of 127.0.0.0/8 from the test's own process id: tests that run at the same time never meet, and
/// nobody's ephemeral port can be the one that was found free.
std::string own_address() {
    const auto pid = static_cast<unsigned>(::getpid());
    return "127." + std::to_string(1 + (pid >> 16 & 0x7f)) + "." + std::to_string(pid >> 8 & 0xff) + "." +
           std::to_string(pid & 0xff);
}

std::string mpm_limits(const httpd_options& options) {
    std::ostringstream out;
    if (options.mpm == "prefork") {
        out << "StartServers " << options.processes << "\nMinSpareServers 1\nMaxSpareServers "
            << options.processes << "\nServerLimit " << options.processes << "\nMaxRequestWorkers "
            << options.processes << '\n';
    } else {
        out << "StartServers " << options.processes << "\nServerLimit " << options.processes
            << "\nThreadsPerChild " << options.threads << "\nThreadLimit " << options.threads
            << "\nMinSpareThreads 1\nMaxSpareThreads " << options.processes * options.threads
            << "\nMaxRequestWorkers " << options.processes * options.threads << '\n';
    }
    return out.str();
}

std::size_t occurrences(std::string_view text, std::string_view wanted) {
    std::size_t count = 0;
    for (auto at = text.find(wanted); at != std::string_view::npos;
         at = text.find(wanted, at + wanted.size()))
        ++count;
    return count;
}

constexpr std::string_view up_message = "resuming normal operations";

} // namespace

std::uint16_t free_port(const std::string& address) {
    const bool is6 = address.find(':') != std::string::npos;
    const file_descriptor probe(::socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 local6{};
    local6.sin6_family = AF_INET6;
    sockaddr_in local4{};
    local4.sin_family = AF_INET;
    void* const host = is6 ? static_cast<void*>(&local6.sin6_addr) : &local4.sin_addr;
    auto* const local = is6 ? reinterpret_cast<sockaddr*>(&local6) : reinterpret_cast<sockaddr*>(&local4);
    socklen_t size = is6 ? sizeof local6 : sizeof local4;
    if (!probe || ::inet_pton(local->sa_family, address.c_str(), host) != 1 ||
        ::bind(probe.get(), local, size) < 0 || ::getsockname(probe.get(), local, &size) < 0)
        throw_errno("bind(a free port)");
    return ntohs(is6 ? local6.sin6_port : local4.sin_port);
}

std::string load_modules(const std::vector<std::string>& names) {
    std::ostringstream out;
    for (const std::string& name : names)
        out << "<IfModule !" << name << "_module>\nLoadModule " << name << "_module " HTTPD_MODULE_DIR "/mod_"
            << name << ".so\n</IfModule>\n";
    return out.str();
}

std::string https_configuration(const temporary_directory& directory, const std::string& directives) {
    const std::string key = directory / "key.pem";
    const std::string certificate = directory / "certificate.pem";
    const std::string command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=main.test -keyout '" + key + "' -out '" +
        certificate + "' 2>/dev/null";
    if (std::system(command.c_str()) != 0)
        throw std::runtime_error("could not make a certificate with openssl");
    return load_modules({"socache_shmcb", "ssl"}) + "Listen ${ADDRESS}:" + std::to_string(https_port) +
           "\nSSLSessionCache shmcb:${ROOT}/run/sessions(512000)\n<VirtualHost *:" +
           std::to_string(https_port) + ">\nServerName main.test\nSSLEngine On\nSSLCertificateFile " +
           certificate + "\nSSLCertificateKeyFile " + key + '\n' + directives + "</VirtualHost>\n";
}

private_httpd::private_httpd(const temporary_directory& directory, httpd_options options)
    : directory_(directory), options_(std::move(options)), address_(own_address()),
      port_(free_port(address_)) {
    directory_.make_directory("htdocs");
    directory_.make_directory("logs");
    directory_.make_directory("run");
    write_file(directory_ / "htdocs/ready", "ready\n");
    write_configuration();
}

private_httpd::~private_httpd() {
    if (program_ && program_->running()) {
        program_->signal(SIGCONT);
        program_->signal(SIGTERM);
        if (!program_->wait_for_exit(20s)) {
            ADD_FAILURE() << "httpd did not stop within 20 s of SIGTERM";
            program_->signal(SIGKILL);
            (void)program_->wait_for_exit(5s);
        }
    }
    program_.reset();
    if (::testing::Test::HasFailure())
        std::cerr << "---- error log\n" << error_log() << "----\n";
}

void private_httpd::reconfigure(std::string configuration) {
    options_.configuration = std::move(configuration);
    write_configuration();
}

void private_httpd::write_configuration() const {
    const std::string root = directory_.path().string();
    std::ostringstream out;
    out << "Define ADDRESS " << address_ << "\nDefine ROOT \"" << root << "\"\nServerRoot \"" << root
        << "\"\nDefaultRuntimeDir \"" << root << "/run\"\nPidFile \"" << root
        << "/run/httpd.pid\"\nServerName main.test\nListen " << address_ << ':' << port_
        << "\nErrorLog \"logs/error.log\"\nLogLevel info dlhandoff:debug\nTimeout 30\nKeepAliveTimeout 5\n";
    if (::geteuid() == 0) {
        const account children = httpd_account();
        out << "User " << children.user_name << "\nGroup " << children.group_name << '\n';
    }
    out << load_modules({"mpm_" + options_.mpm, "unixd", "log_config", "authn_core", "authz_core",
                         "authz_host", "mime", "dir", "alias", "env", "setenvif", "headers", "reqtimeout"})
        << load_modules(options_.modules) << "LoadModule dlhandoff_module \"" MOD_DLHANDOFF "\"\n"
        << mpm_limits(options_)
        << "TypesConfig /dev/null\nAddType text/html .html\nAddType text/plain .txt\n"
           "LogFormat \"%{X-Probe}i\\t%{dlhandoff}n\\t%>s\\t%r\" probes\nCustomLog \"logs/access.log\" "
           "probes\n"
           "DocumentRoot \"htdocs\"\n<Directory />\nAllowOverride None\nRequire all denied\n</Directory>\n"
           "<Directory \""
        << root << "/htdocs\">\nRequire all granted\n</Directory>\n"
        << options_.configuration << '\n';
    write_file(configuration_file(), out.str());
}

command_result private_httpd::configtest() const {
    return run_command({HTTPD_PROGRAM, "-t", "-f", configuration_file()});
}

void private_httpd::start() {
    program_ = std::make_unique<child_process>(
        child_process::options{.command = {HTTPD_PROGRAM, "-f", configuration_file(), "-DFOREGROUND"},
                               .output = directory_ / "logs/console.log",
                               .run_as = {},
                               .descriptors = options_.descriptors,
                               .conversation = -1,
                               .environment = options_.environment});
    const bool answers = eventually(
        [this] {
            if (!program_->running())
                return true;
            try {
                raw_client client(address_, port_);
                client.send("GET /ready HTTP/1.0\r\n\r\n");
                return client.read_head(2s).starts_with("HTTP/1.");
            } catch (const std::exception&) {
                return false;
            }
        },
        20s);
    if (!answers || !program_->running())
        throw std::runtime_error("httpd does not answer: " + read_file(directory_ / "logs/console.log") +
                                 error_log());
}

void private_httpd::signal_and_wait_until_up(int number) {
    const std::size_t before = occurrences(error_log(), up_message);
    signal(number);
    if (!eventually([&] { return occurrences(error_log(), up_message) > before; }, 20s))
        throw std::runtime_error("httpd did not come up again: " + error_log());
}

void private_httpd::wait_until_gone(const std::vector<pid_t>& old) const {
    const bool gone = eventually(
        [&] {
            const std::vector<pid_t> now = children();
            return std::find_first_of(now.begin(), now.end(), old.begin(), old.end()) == now.end();
        },
        20s);
    if (!gone)
        throw std::runtime_error("a child of the old generation did not end: " + error_log());
}

void private_httpd::graceful_restart() {
    signal_and_wait_until_up(SIGUSR1);
}

void private_httpd::graceful_restart_when_idle() {
    const std::vector<pid_t> old = children();
    graceful_restart();
    wait_until_gone(old);
}

void private_httpd::restart() {
    const std::vector<pid_t> old = children();
    signal_and_wait_until_up(SIGHUP);
    wait_until_gone(old);
}

void private_httpd::signal(int number) const {
    program_->signal(number);
}

bool private_httpd::ended(std::chrono::milliseconds within) {
    return program_->wait_for_exit(within).has_value();
}

std::string private_httpd::url(std::string_view path) const {
    return "http://" + address_ + ":" + std::to_string(port_) + std::string(path);
}

std::string private_httpd::note_of(std::string_view probe) const {
    std::vector<std::string> notes;
    const bool found = eventually([&] {
        notes = notes_of(probe);
        return !notes.empty();
    });
    return found ? notes.front() : "(the request is not in the access log)";
}

std::vector<std::string> private_httpd::notes_of(std::string_view probe) const {
    std::vector<std::string> notes;
    const std::string wanted = std::string(probe) + '\t';
    std::istringstream lines(read_file(directory_ / "logs/access.log"));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(wanted))
            notes.push_back(line.substr(wanted.size(), line.find('\t', wanted.size()) - wanted.size()));
    return notes;
}

std::size_t private_httpd::requests_with_note(std::string_view note) const {
    return occurrences(read_file(directory_ / "logs/access.log"), '\t' + std::string(note) + '\t');
}

std::string private_httpd::error_log() const {
    return read_file(directory_ / "logs/error.log");
}

} // namespace dlhandoff::test
