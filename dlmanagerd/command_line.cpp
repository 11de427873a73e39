#include "dlmanagerd/command_line.hpp"

#include "dlmanagerd/readiness.hpp"
#include "shared/board.hpp"
#include "shared/wire.hpp"

#include <CLI/CLI.hpp>

namespace dlhandoff::service {

std::variant<command_line, exit_status> parse_command_line(int argc, const char* const* argv) {
    command_line asked;
    CLI::App app{
        "Sends the downloads that Apache's mod_dlhandoff hands over, so that no httpd worker waits for "
        "a slow client.",
        "dlmanagerd"};
    app.add_option("--config", asked.config, "Read the configuration (TOML) from FILE")->option_text("FILE");
    app.add_option("--listen", asked.listen,
                   "Listen at PATH, whatever the configuration says; httpd's directive DLHandoffManager "
                   "unix:PATH must name the same")
        ->option_text("PATH")
        ->check([](const std::string& path) { return why_not_listen_at(path); });
    app.add_flag("--check-config", asked.check_config,
                 "Say whether the configuration is fine, and exit (0 or 2)");
    app.set_version_flag(
        "--version", "dlmanagerd " DLHANDOFF_VERSION " (wire " + std::to_string(wire_version) + ", board " +
                         std::to_string(board_version) + (can_notify() ? ", with systemd)" : ")"));
    app.footer(
        "Signals: TERM finishes the downloads under way (up to drain_timeout) and exits, INT and QUIT exit "
        "at once,\nHUP reloads the configuration and reopens the transfer log.\n"
        "Exit status: 0 clean, 1 run-time error, 2 wrong usage or configuration.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& stop) {
        return app.exit(stop) == 0 ? exit_status::clean : exit_status::usage;
    }
    return asked;
}

configuration configuration_of(const command_line& asked) {
    configuration result = asked.config.empty() ? default_configuration() : load_configuration(asked.config);
    if (!asked.listen.empty())
        result.listen = asked.listen;
    return result;
}

} // namespace dlhandoff::service
