#include "dlctl/terminal.hpp"

#include "shared/file_descriptor.hpp"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dlhandoff::dlctl {
namespace {

// For the handler.
std::atomic<int> ending_signal{0};
std::atomic<bool> stop_asked{false};
std::atomic<int> wake_pipe{-1};

extern "C" void note_signal(int number) {
    const int error = errno;
    if (number == SIGTSTP)
        stop_asked = true;
    else if (number != SIGWINCH)
        ending_signal = number;
    const char byte = 0;
    (void)!::write(wake_pipe, &byte, 1);
    errno = error;
}

// ECMA-48 and xterm: alternate screen, cursor, home, erase to the end of the line and of the screen.
constexpr std::string_view enter_screen = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[J";
constexpr std::string_view leave_screen = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view home = "\x1b[H";
constexpr std::string_view end_of_line = "\x1b[K";
constexpr std::string_view rest_of_screen = "\x1b[J";

void write_anyhow(std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && errno != EINTR)
            return;
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

} // namespace

bool is_terminal() noexcept {
    return ::isatty(STDOUT_FILENO) == 1;
}

terminal_size size_of_terminal() noexcept {
    winsize said{};
    terminal_size size;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &said) == 0 && said.ws_col > 0 && said.ws_row > 0)
        size = {said.ws_col, said.ws_row};
    return size;
}

bool write_out(std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && (errno != EINTR || ending_signal != 0))
            return false;
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
    return true;
}

signal_notes::signal_notes() {
    if (::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0)
        throw_errno("pipe2");
    ending_signal = 0;
    stop_asked = false;
    wake_pipe = pipe_[1];
    struct sigaction note {};
    note.sa_handler = note_signal; // no SA_RESTART: a write that hangs must end
    // What was ignored stays so (nohup).
    for (std::size_t at = 0; at < std::size(numbers); ++at)
        if (::sigaction(numbers[at], nullptr, &before_[at]) == 0 && before_[at].sa_handler != SIG_IGN)
            ::sigaction(numbers[at], &note, nullptr);
}

signal_notes::~signal_notes() {
    for (std::size_t at = 0; at < std::size(numbers); ++at)
        ::sigaction(numbers[at], &before_[at], nullptr);
    wake_pipe = -1;
    ending_signal = 0;
    ::close(pipe_[0]);
    ::close(pipe_[1]);
}

int signal_notes::ending() const noexcept {
    return ending_signal;
}

bool signal_notes::take_stop() noexcept {
    return stop_asked.exchange(false);
}

signal_notes::event signal_notes::wait(std::chrono::milliseconds time, bool keys, char& key) noexcept {
    pollfd watched[] = {{pipe_[0], POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}};
    const int ready = ::poll(watched, 2, static_cast<int>(std::max<std::int64_t>(0, time.count())));
    if (ready == 0)
        return event::time;
    if (ready < 0 || watched[0].revents != 0) {
        char bytes[64];
        while (::read(pipe_[0], bytes, sizeof bytes) > 0) {
        }
        return event::signal;
    }
    const ssize_t got = ::read(STDIN_FILENO, &key, 1);
    if (got == 1)
        return event::key;
    const bool nothing = got == 0 ? (watched[1].revents & (POLLHUP | POLLERR)) == 0 : errno == EINTR;
    return nothing ? event::signal : event::input_ended;
}

screen::screen() noexcept {
    keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    enter();
}

screen::~screen() {
    leave();
}

void screen::enter() noexcept {
    if (keys_) {
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO); // Ctrl-C and Ctrl-Z go on being signals
        raw.c_cc[VMIN] = 0; // a signal drops the keys typed before it, also between poll() and read()
        raw.c_cc[VTIME] = 0;
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    write_anyhow(enter_screen);
}

void screen::leave() noexcept {
    write_anyhow(leave_screen);
    if (keys_)
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

bool screen::draw(std::string_view lines, std::size_t height) noexcept {
    // What is erased is erased before it is written: behind a line as wide as the terminal, the cursor still
    // is on its last character.
    std::string text(home);
    for (std::size_t line = 1; !lines.empty(); ++line) {
        const std::size_t newline = lines.find('\n');
        text.append(end_of_line).append(lines.substr(0, newline));
        lines.remove_prefix(newline == std::string_view::npos ? lines.size() : newline + 1);
        if (line < height) // a newline in the last would scroll
            text += '\n';
        if (lines.empty() && line < height)
            text += rest_of_screen;
    }
    return write_out(text);
}

void screen::stop_process() noexcept {
    leave();
    ::kill(::getpid(), SIGSTOP);
    enter();
}

} // namespace dlhandoff::dlctl
