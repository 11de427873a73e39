#include "dlctl/admin_connection.hpp"
#include "dlctl/command_line.hpp"
#include "dlctl/display_text.hpp"
#include "dlctl/rendering.hpp"
#include "dlctl/terminal.hpp"
#include "dlctl/top.hpp"

#include <cstdio>
#include <exception>
#include <string>

namespace {

using namespace dlhandoff;
using namespace dlhandoff::dlctl;

/// Asks, and returns what to print.
std::string answer_text(const command_line& asked) {
    status_answer status;
    list_answer transfers;
    std::string text;
    ask_service(asked.socket, asked.request, [&](std::string_view, const admin::answer_line& line) {
        if (const auto* one = std::get_if<admin::manager_report>(&line))
            status.managers.push_back(*one);
        else if (const auto* all = std::get_if<admin::totals>(&line))
            status.all = *all;
        else if (const auto* transfer = std::get_if<transfer_listing>(&line))
            transfers.push_back(*transfer);
        else if (const auto* ended = std::get_if<admin::cancelled>(&line))
            text += "Cancelled " + harmless(ended->id) + ".\n";
        else if (const auto* those = std::get_if<admin::draining>(&line))
            text += std::to_string(those->managers) +
                    (those->managers == 1 ? " manager finishes" : " managers finish") +
                    " what is under way, and new downloads stay with httpd.\n";
    });
    const std::size_t width = is_terminal() ? size_of_terminal().width : 0;
    if (asked.request.what == admin::command::status)
        return render_status(status, width);
    if (asked.request.what == admin::command::list)
        return render_list(transfers, width);
    return text;
}

bool print(std::string_view text) {
    if (write_out(text))
        return true;
    std::perror("dlctl: cannot write to standard output");
    return false;
}

exit_status run(int argc, char** argv) {
    const auto parsed = parse_command_line(argc, argv);
    if (const auto* end = std::get_if<exit_status>(&parsed))
        return *end;
    const auto& asked = std::get<command_line>(parsed);
    bool printed = true;
    try {
        if (asked.top)
            return show_top(asked);
        if (asked.json)
            ask_service(asked.socket, asked.request, [&](std::string_view line, const admin::answer_line&) {
                printed = printed && print(line);
            });
        else
            printed = print(answer_text(asked));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "dlctl: %s\n", error.what());
        return exit_status::failed;
    }
    return printed ? exit_status::clean : exit_status::failed;
}

} // namespace

int main(int argc, char** argv) {
    return static_cast<int>(run(argc, argv));
}
