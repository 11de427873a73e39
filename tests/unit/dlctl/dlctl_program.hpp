#pragma once

#include "shared/file_descriptor.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <termios.h>
#include <vector>

namespace dlhandoff::test {

/// A dlctl process. Is killed, and the test fails, if it is still there in the end.
class dlctl_program {
  public:
    static constexpr std::chrono::seconds patience{20};

    /// Runs with these descriptors as its standard ones (borrowed). `terminal`: standard input becomes its
    /// controlling terminal, in a session of its own.
    dlctl_program(std::vector<std::string> arguments, int in, int out, int error, bool terminal = false);
    ~dlctl_program();
    dlctl_program(const dlctl_program&) = delete;
    dlctl_program& operator=(const dlctl_program&) = delete;

    void signal(int number) const;
    /// How it ended, as of waitpid(2); -1, and the test fails, if it has not in time.
    [[nodiscard]] int wait();
    /// Whether it was stopped by a signal, in time.
    [[nodiscard]] bool wait_for_stop();

  private:
    pid_t pid_ = -1;
};

/// What it prints until the other side closes or `enough` is true of it; the test fails if neither is in
/// time.
[[nodiscard]] std::string read_until(int descriptor, std::string so_far,
                                     const std::function<bool(const std::string&)>& enough);

struct dlctl_result {
    int status = -1; ///< exit status; -1 if it was a signal
    std::string output;
    std::string error;
};
/// Runs it to its end, with /dev/null as standard input.
[[nodiscard]] dlctl_result run_dlctl(const std::vector<std::string>& arguments);

/// dlctl in a terminal.
class dlctl_in_terminal {
  public:
    dlctl_in_terminal(const std::vector<std::string>& arguments, unsigned short width, unsigned short height);
    /// Waits until the text has been printed (since the last wait); the test fails if it is not in time.
    void wait_for(std::string_view text);
    void type(std::string_view keys) const;
    void resize(unsigned short width, unsigned short height) const;
    /// Until it ends; all that it printed. `status` as of waitpid(2).
    [[nodiscard]] std::string wait_for_end(int& status);
    [[nodiscard]] dlctl_program& program() { return *program_; }
    [[nodiscard]] const std::string& printed() const { return printed_; }
    [[nodiscard]] termios settings() const;
    /// As it was before the program began.
    [[nodiscard]] bool has_settings_of_before() const;

  private:
    file_descriptor master_;
    file_descriptor slave_;
    termios before_{};
    std::unique_ptr<dlctl_program> program_;
    std::string printed_;
    std::size_t seen_ = 0;
};

} // namespace dlhandoff::test
