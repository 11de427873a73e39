#pragma once

#include "tests/integration/harness/child_process.hpp"
#include "tests/integration/harness/eventually.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dlhandoff::test {

struct httpd_options {
    std::string mpm = "event"; ///< prefork, worker, event
    int processes = 2;
    int threads = 8; ///< of one process; prefork has one
    /// Modules besides those that every configuration here loads, such as "dav".
    std::vector<std::string> modules{};
    /// Goes into the server's context, after DLHandoff's LoadModule and the document root; ${ROOT} is the
    /// test's directory.
    std::string configuration{};
    std::vector<std::string> environment{}; ///< "NAME=value"
    std::optional<rlim_t> descriptors{};    ///< RLIMIT_NOFILE
};

/// Where a private httpd serves HTTPS, if it has https_configuration(): its address is its own.
inline constexpr std::uint16_t https_port = 8443;
/// mod_ssl, a virtual host with a certificate made for it, and `directives` in that host.
[[nodiscard]] std::string https_configuration(const temporary_directory& directory,
                                              const std::string& directives = {});

/// A stock httpd with mod_dlhandoff, of our own: configuration, logs and documents in a directory of the
/// test, on an address of 127.0.0.0/8 that no other process uses.
///
/// Documents are in `htdocs`. The access log has, tab-separated, X-Probe of the request, the note dlhandoff,
/// the status and the request line.
class private_httpd {
  public:
    private_httpd(const temporary_directory& directory, httpd_options options);
    /// Stops it if it runs. When the test has failed, prints the error log.
    ~private_httpd();
    private_httpd(const private_httpd&) = delete;
    private_httpd& operator=(const private_httpd&) = delete;

    /// Starts it and waits until it answers. Throws std::runtime_error with its log if it doesn't.
    void start();
    /// SIGUSR1; returns when the new generation's parent is ready. Children of the old one may still take
    /// connections.
    void graceful_restart();
    /// The same; returns when all children are of the new generation: there must be no download that an old
    /// one waits for.
    void graceful_restart_when_idle();
    /// SIGHUP; returns when all children are of the new generation.
    void restart();
    /// SIGWINCH: downloads end first.
    void graceful_stop() const { signal(SIGWINCH); }
    /// SIGTERM.
    void stop() const { signal(SIGTERM); }
    void signal(int number) const;
    /// True if the parent has ended within the time.
    [[nodiscard]] bool ended(std::chrono::milliseconds within);

    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url(std::string_view path) const;
    [[nodiscard]] pid_t pid() const { return program_->pid(); }
    [[nodiscard]] std::vector<pid_t> children() const { return children_of(pid()); }

    /// The note dlhandoff of the request with this X-Probe ("-" if it has none), once it is logged.
    [[nodiscard]] std::string note_of(std::string_view probe) const;
    /// The notes of all requests that are logged with this X-Probe now.
    [[nodiscard]] std::vector<std::string> notes_of(std::string_view probe) const;
    /// Requests logged with this note.
    [[nodiscard]] std::size_t requests_with_note(std::string_view note) const;
    [[nodiscard]] std::string error_log() const;
    /// httpd -t with this configuration.
    [[nodiscard]] command_result configtest() const;

    /// Where httpd.conf is; for a run with other options.
    [[nodiscard]] std::string configuration_file() const { return directory_ / "httpd.conf"; }
    /// Writes httpd.conf anew, to take effect with the next start or restart.
    void reconfigure(std::string configuration);

  private:
    void write_configuration() const;
    void signal_and_wait_until_up(int number);
    void wait_until_gone(const std::vector<pid_t>& old) const;

    const temporary_directory& directory_;
    httpd_options options_;
    std::string address_;
    std::uint16_t port_;
    std::unique_ptr<child_process> program_;
};

/// A port of a loopback address (IPv4 or IPv6) that nobody uses.
[[nodiscard]] std::uint16_t free_port(const std::string& address);

/// LoadModule lines for modules that are not built in.
[[nodiscard]] std::string load_modules(const std::vector<std::string>& names);

} // namespace dlhandoff::test
