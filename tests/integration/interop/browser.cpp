#include "tests/integration/interop/browser.hpp"

#include <csignal>
#include <sstream>

namespace dlhandoff::test {

browser::browser(site& here, const std::string& url) : site_(here) {
    const std::string profile = here.directory().make_directory("browser");
    program_ = std::make_unique<child_process>(child_process::options{
        .command = {find_program(program), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                    "--no-first-run", "--disable-background-networking", "--disable-component-update",
                    "--disable-sync", "--disable-breakpad", "--disable-crash-reporter",
                    "--disable-dev-shm-usage", "--no-proxy-server", "--ignore-certificate-errors",
                    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
                    "--user-data-dir=" + profile, url},
        .output = here.directory() / "logs/browser.log",
        .environment = {"HOME=" + profile, "XDG_CONFIG_HOME=" + profile, "XDG_CACHE_HOME=" + profile,
                        "TMPDIR=" + profile}});
}

browser::~browser() {
    program_->signal(SIGTERM);
    if (program_->wait_for_exit(15s))
        return;
    program_->signal(SIGKILL);
    (void)program_->wait_for_exit(5s);
}

std::optional<std::string> browser::reported(const std::string& name,
                                             std::chrono::milliseconds within) const {
    std::optional<std::string> found;
    const std::string wanted = "GET /report?" + name + '=';
    (void)eventually(
        [&] {
            const std::string log = read_file(site_.directory() / "logs/access.log");
            const auto at = log.find(wanted);
            if (at == std::string::npos)
                return false;
            const auto value = at + wanted.size();
            found = log.substr(value, log.find(' ', value) - value);
            return true;
        },
        within);
    return found;
}

std::string browser::messages() const {
    return read_file(site_.directory() / "logs/browser.log");
}

} // namespace dlhandoff::test
