#include "dlmanagerd/configuration/command_line.hpp"

#include "dlmanagerd/supervisor/readiness.hpp"
#include "shared/board.hpp"
#include "shared/release.hpp"
#include "shared/wire.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <optional>

namespace dlhandoff::service {
namespace {

/// 0: "auto". Nothing if it is neither that nor a number of managers.
std::optional<std::uint32_t> managers_in(const std::string& text) {
    if (text == "auto")
        return 0;
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count < 1 || count > most_managers)
        return std::nullopt;
    return count;
}

std::string why_not_managers(const std::string& text) {
    if (managers_in(text))
        return {};
    return '"' + text + "\" is no number of managers; allowed: 1 to " + std::to_string(most_managers) +
           ", or auto";
}

} // namespace

std::variant<command_line, exit_status> parse_command_line(int argc, const char* const* argv) {
    command_line asked;
    CLI::App app{
        "Sends the downloads that Apache's mod_dlhandoff hands off, so that no httpd worker waits for "
        "a slow client.",
        "dlmanagerd"};
    app.add_option("--config", asked.config, "Read the configuration (TOML) from FILE")->option_text("FILE");
    app.add_option("--listen", asked.listen,
                   "Listen at PATH, whatever the configuration says; httpd's directive DLHandoffManager "
                   "unix:PATH must name the same")
        ->option_text("PATH")
        ->check([](const std::string& path) { return why_not_listen_at(path); });
    app.add_option("--managers", asked.managers,
                   "Start with N managers, or with one a core (auto), whatever the configuration says")
        ->option_text("N|auto")
        ->check([](const std::string& text) { return why_not_managers(text); });
    app.add_flag("--check-config", asked.check_config,
                 "Say whether the configuration is fine, and exit (0 or 2)");
    app.set_version_flag("--version", std::string("dlmanagerd ") + release() + " (wire " +
                                          std::to_string(wire_version) + ", board " +
                                          std::to_string(board_version) +
                                          (can_notify() ? ", with systemd)" : ")"));
    app.footer("Signals, to the first process: TERM finishes the downloads under way (up to drain_timeout) "
               "and exits, INT and QUIT exit "
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
    if (!asked.managers.empty()) {
        result.managers = managers_in(asked.managers).value_or(0);
        if (result.max_managers != 0)
            result.max_managers = std::max(result.max_managers, result.managers);
    }
    return result;
}

} // namespace dlhandoff::service
