#include "dlctl/command_line.hpp"

#include "dlctl/admin_connection.hpp"
#include "shared/release.hpp"

#include <CLI/CLI.hpp>

namespace dlhandoff::dlctl {

std::variant<command_line, exit_status> parse_command_line(int argc, const char* const* argv) {
    command_line asked;
    CLI::App app{"Shows and controls what dlmanagerd is sending.", "dlctl"};
    app.fallthrough();            // options may come behind the command
    app.require_subcommand(0, 1); // none is looked at below: so an unknown word is named
    app.add_option("--socket", asked.socket,
                   std::string("The service's admin socket; without, ") + admin::default_socket)
        ->option_text("PATH")
        ->check([](const std::string& path) { return why_not_socket(path); });
    auto* const json = app.add_flag("--json", asked.json, "Print the answer's lines of JSON unchanged");
    app.set_version_flag("--version", std::string("dlctl ") + release());

    app.add_subcommand("status", "What each manager does, and all together")->callback([&asked] {
        asked.request.what = admin::command::status;
    });
    auto* const list = app.add_subcommand("list", "The transfers under way and waiting");
    list->add_option("--client", asked.request.client,
                     "Only this client's, by address or by DLHandoffClient's value")
        ->option_text("CLIENT");
    list->add_option("--class", asked.request.class_name, "Only those of this class")->option_text("CLASS");
    list->callback([&asked] { asked.request.what = admin::command::list; });
    app.add_subcommand("top", "The fastest transfers, again each second; q ends it")
        ->callback([&asked, json] {
            if (json->count() > 0)
                throw CLI::ValidationError("--json", "top has no JSON; list and status do");
            asked.top = true;
        });
    auto* const cancel =
        app.add_subcommand("cancel", "Ends a transfer: its client sees the connection reset");
    cancel->add_option("ID", asked.request.id, "As list shows it")
        ->required()
        ->check([](const std::string& id) { return std::string(id.empty() ? "an ID can't be empty" : ""); });
    cancel->callback([&asked] { asked.request.what = admin::command::cancel; });
    app.add_subcommand("drain", "Has the managers finish what they have, and take no new downloads")
        ->callback([&asked] { asked.request.what = admin::command::drain; });
    app.footer("Exit status: 0 clean, 1 the service can't be reached or says that there was an error, 2 "
               "wrong usage.\n"
               "The service lets root ask, its own user, and its admin_users.");
    try {
        app.parse(argc, argv);
        if (app.get_subcommands().empty())
            throw CLI::RequiredError("A command (status, list, top, cancel or drain)");
    } catch (const CLI::ParseError& stop) {
        return app.exit(stop) == 0 ? exit_status::clean : exit_status::usage;
    }
    return asked;
}

} // namespace dlhandoff::dlctl
