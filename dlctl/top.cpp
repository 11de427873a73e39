#include "dlctl/top.hpp"

#include "dlctl/admin_connection.hpp"
#include "dlctl/display_text.hpp"
#include "dlctl/rendering.hpp"
#include "dlctl/terminal.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

namespace dlhandoff::dlctl {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto period = 1s;
constexpr auto patience = 2s;
/// Without a terminal that bounds them.
constexpr std::uint32_t most_transfers = 1000;

struct picture {
    status_answer status;
    list_answer transfers;
    std::map<std::string, std::uint64_t> delivered; ///< by the transfer's id
    clock::time_point at;
};

picture ask(const std::string& socket, std::size_t most) {
    picture seen;
    const auto take = [&seen](std::string_view, const admin::answer_line& line) {
        if (const auto* one = std::get_if<admin::manager_report>(&line))
            seen.status.managers.push_back(*one);
        else if (const auto* all = std::get_if<admin::totals>(&line))
            seen.status.all = *all;
        else if (const auto* transfer = std::get_if<transfer_listing>(&line))
            seen.transfers.push_back(*transfer);
    };
    ask_service(socket, {admin::command::status, {}, {}, {}, 0}, take, patience);
    ask_service(socket, {admin::command::list, {}, {}, {}, static_cast<std::uint32_t>(most)}, take, patience);
    seen.at = clock::now();
    for (const auto& one : seen.transfers)
        seen.delivered.emplace(one.id, one.delivered);
    return seen;
}

/// The service says a transfer's speed since its turn; of those that were in the picture before, it becomes
/// that since then.
void take_speeds(picture& now, const picture& before) {
    const double seconds = std::chrono::duration<double>(now.at - before.at).count();
    for (auto& one : now.transfers)
        if (const auto last = before.delivered.find(one.id);
            last != before.delivered.end() && one.delivered >= last->second && seconds > 0)
            one.bytes_per_second =
                static_cast<std::uint64_t>(static_cast<double>(one.delivered - last->second) / seconds);
}

/// What is on the screen, or why nothing new is.
class view {
  public:
    explicit view(std::string socket) : socket_(std::move(socket)) {}

    /// Throws admin_error the first time only.
    void refresh(std::size_t most) {
        try {
            picture fresh = ask(socket_, most);
            if (seen_)
                take_speeds(fresh, *seen_);
            seen_ = std::move(fresh);
            trouble_.clear();
        } catch (const admin_error& error) {
            if (!seen_)
                throw;
            trouble_ = error.what();
        }
    }
    [[nodiscard]] std::string text(std::size_t width, std::size_t height) const {
        if (trouble_.empty())
            return render_top(seen_->status, seen_->transfers, width, height);
        const std::string line = "Trying again: " + trouble_;
        return (width > 0 ? cut(line, width) : line) + '\n' +
               (height == 1
                    ? ""
                    : render_top(seen_->status, seen_->transfers, width, height > 0 ? height - 1 : 0));
    }

  private:
    std::string socket_;
    std::optional<picture> seen_;
    std::string trouble_;
};

/// False if standard output can't be written.
bool show_below(view& shown, signal_notes& signals) {
    while (signals.ending() == 0) {
        if (!write_out(shown.text(0, 0) + '\n'))
            return false;
        const auto next = clock::now() + period;
        for (char key = 0; signals.ending() == 0 && clock::now() < next;) {
            (void)signals.wait(std::chrono::ceil<std::chrono::milliseconds>(next - clock::now()), false, key);
            if (signals.take_stop())
                ::kill(::getpid(), SIGSTOP);
        }
        if (signals.ending() == 0)
            shown.refresh(most_transfers);
    }
    return true;
}

/// The same.
bool show_in_place(view& shown, signal_notes& signals) {
    screen place;
    bool keys = ::isatty(STDIN_FILENO) == 1;
    auto next = clock::now() + period;
    while (signals.ending() == 0) {
        const terminal_size size = size_of_terminal();
        if (!place.draw(shown.text(size.width, size.height), size.height))
            return false;
        char key = 0;
        switch (signals.wait(std::chrono::ceil<std::chrono::milliseconds>(next - clock::now()), keys, key)) {
        case signal_notes::event::key:
            if (key == 'q' || key == 'Q')
                return true;
            break;
        case signal_notes::event::input_ended:
            return true;
        case signal_notes::event::signal:
            if (signals.take_stop())
                place.stop_process();
            break;
        case signal_notes::event::time:
            shown.refresh(size_of_terminal().height);
            next = clock::now() + period;
            break;
        }
    }
    return true;
}

} // namespace

exit_status show_top(const command_line& asked) {
    view shown(asked.socket);
    shown.refresh(is_terminal() ? size_of_terminal().height : most_transfers);
    int ended_by = 0;
    bool written = true;
    int error = 0;
    {
        signal_notes signals;
        written = is_terminal() ? show_in_place(shown, signals) : show_below(shown, signals);
        error = errno;
        ended_by = signals.ending();
    }
    if (ended_by != 0)
        ::raise(ended_by);
    if (written)
        return exit_status::clean;
    std::fprintf(stderr, "dlctl: cannot write to standard output: %s\n", std::strerror(error));
    return exit_status::failed;
}

} // namespace dlhandoff::dlctl
