#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <termios.h>

namespace dlhandoff::dlctl {

struct terminal_size {
    std::size_t width = 80;
    std::size_t height = 24;
};

/// Of the terminal that standard output is; 80 x 24 if it doesn't say. `is_terminal`: whether it is one.
[[nodiscard]] terminal_size size_of_terminal() noexcept;
[[nodiscard]] bool is_terminal() noexcept;

/// Writes all of it to standard output; false if that fails, or a signal that ends the program has come.
[[nodiscard]] bool write_out(std::string_view text) noexcept;

/// Signals for a program that draws: INT, TERM, HUP and QUIT are noted instead of ending it, so that the
/// terminal can be put in order first. One at a time; as it was before when this goes.
class signal_notes {
  public:
    signal_notes();
    ~signal_notes();
    signal_notes(const signal_notes&) = delete;
    signal_notes& operator=(const signal_notes&) = delete;

    /// A signal that says to end; 0 if none has come.
    [[nodiscard]] int ending() const noexcept;
    /// Whether Ctrl-Z (TSTP) has been pressed since it was asked last.
    [[nodiscard]] bool take_stop() noexcept;

    enum class event { time, key, signal, input_ended };
    /// Waits for a key (if `keys`), a signal (of WINCH too), or the time. The key is in `key`.
    [[nodiscard]] event wait(std::chrono::milliseconds time, bool keys, char& key) noexcept;

  private:
    static constexpr int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    struct sigaction before_[std::size(numbers)]{};
    int pipe_[2]{-1, -1};
};

/// The alternate screen of a terminal, without cursor, keys coming as they are pressed (if standard input is
/// a terminal too). As it was before when this goes.
class screen {
  public:
    screen() noexcept;
    ~screen();
    screen(const screen&) = delete;
    screen& operator=(const screen&) = delete;

    /// Draws the lines, `height` of the terminal at most, in place of what is there; false as write_out().
    [[nodiscard]] bool draw(std::string_view lines, std::size_t height) noexcept;
    /// Leaves, stops this process as Ctrl-Z does, and comes back with it.
    void stop_process() noexcept;

  private:
    void enter() noexcept;
    void leave() noexcept;
    termios before_{};
    bool keys_ = false;
};

} // namespace dlhandoff::dlctl
