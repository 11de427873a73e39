#include "dlctl/rendering.hpp"
#include "tests/unit/dlctl/dlctl_program.hpp"
#include "tests/unit/dlctl/fake_service.hpp"
#include "tests/unit/dlctl/sample_answers.hpp"

#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string enter = "\x1b[?1049h\x1b[?25l";
const std::string leave = "\x1b[?25h\x1b[?1049l";
const std::string frame = "\x1b[H\x1b[K118 MB/s"; // how a screen begins
const std::string end_of_frame = "\r\n\x1b[J";    // and ends, unless it is full

/// Lines as they are drawn on a screen of `height`, through a terminal (onlcr, termios(3)).
std::string drawn(const std::string& lines, std::size_t height) {
    std::string text = "\x1b[H";
    std::size_t count = 0;
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);)
        text += "\x1b[K" + line + (++count < height ? "\r\n" : "");
    return count < height ? text + "\x1b[J" : text;
}

TEST(top, redraws_in_place_each_second_until_q) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 80, 24);
    for (int i = 0; i < 3; ++i) {
        terminal.wait_for(frame);
        terminal.wait_for(end_of_frame);
    }
    EXPECT_EQ(terminal.settings().c_lflag & static_cast<tcflag_t>(ICANON | ECHO), 0U) << "keys come at once";
    terminal.type("q");
    int status;
    const std::string printed = terminal.wait_for_end(status);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_THAT(printed, StartsWith(enter));
    EXPECT_THAT(printed, EndsWith(leave));
    EXPECT_TRUE(terminal.has_settings_of_before());
    const auto requests = service.requests();
    ASSERT_GE(requests.size(), 6U);
    EXPECT_EQ(requests[0].what, admin::command::status);
    EXPECT_EQ(requests[1].what, admin::command::list);
    EXPECT_EQ(requests[1].limit, 24U) << "no more than there is room for";
}

TEST(top, draws_what_is_rendered_for_the_terminal) {
    for (const auto width : std::initializer_list<unsigned short>{40, 80, 200})
        for (const auto height : std::initializer_list<unsigned short>{5, 7, 8, 50}) {
            fake_service service;
            dlctl_in_terminal terminal({"--socket", service.path(), "top"}, width, height);
            terminal.wait_for(
                drawn(dlctl::render_top(sample_status(), sample_list(), width, height), height));
            terminal.type("q");
            int status;
            (void)terminal.wait_for_end(status);
            EXPECT_EQ(status, 0);
        }
}

TEST(top, puts_the_terminal_in_order_when_a_signal_ends_it) {
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
        fake_service service;
        dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 80, 24);
        terminal.wait_for(end_of_frame);
        EXPECT_FALSE(terminal.has_settings_of_before());
        terminal.program().signal(number);
        int status;
        const std::string printed = terminal.wait_for_end(status);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == number) << number << ": " << status;
        EXPECT_THAT(printed, EndsWith(leave)) << number;
        EXPECT_TRUE(terminal.has_settings_of_before()) << number;
    }
}

TEST(top, ends_with_ctrl_c) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 80, 24);
    terminal.wait_for(end_of_frame);
    terminal.type("x"); // any other key draws again at most
    terminal.type("\x03");
    int status;
    EXPECT_THAT(terminal.wait_for_end(status), EndsWith(leave));
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    EXPECT_TRUE(terminal.has_settings_of_before());
}

TEST(top, ctrl_z_gives_the_terminal_back_for_a_while) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 80, 24);
    terminal.wait_for(end_of_frame);
    terminal.type("\x1a");
    terminal.wait_for(leave);
    ASSERT_TRUE(terminal.program().wait_for_stop());
    EXPECT_TRUE(terminal.has_settings_of_before());
    terminal.program().signal(SIGCONT);
    terminal.wait_for(enter);
    terminal.wait_for(frame);
    EXPECT_FALSE(terminal.has_settings_of_before());
    terminal.type("q");
    int status;
    EXPECT_THAT(terminal.wait_for_end(status), EndsWith(leave));
    EXPECT_EQ(status, 0);
}

TEST(top, follows_the_terminal_s_size) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 200, 24);
    terminal.wait_for("CLASS");
    terminal.wait_for(end_of_frame);
    terminal.resize(40, 24);
    terminal.wait_for("queued 7  idle..");
    terminal.wait_for(end_of_frame);
    const std::size_t before = terminal.printed().size();
    terminal.resize(10, 1);
    terminal.wait_for("118 MB/s..");
    terminal.type("q");
    int status;
    const std::string printed = terminal.wait_for_end(status);
    EXPECT_EQ(status, 0);
    EXPECT_THAT(printed.substr(before), HasSubstr("\x1b[H\x1b[K118 MB/s..\x1b")) << "one line";
}

TEST(top, shows_hostile_names_harmless) {
    fake_service service([](const admin::request& asked) -> fake_service::reply {
        return {asked.what == admin::command::status ? encoded(sample_status())
                                                     : encoded(dlctl::list_answer{hostile_transfer()})};
    });
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 200, 24);
    terminal.wait_for("\\x1b[31m");
    terminal.wait_for(end_of_frame);
    terminal.type("q");
    int status;
    const std::string printed = terminal.wait_for_end(status);
    for (const char* bad : {"\x1b[31m", "\x1b]", "\x1b[2J", "\x07"})
        EXPECT_THAT(printed, Not(HasSubstr(bad)));
}

TEST(top, waits_for_a_service_that_is_away_for_a_while) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "top"}, 200, 24);
    terminal.wait_for(end_of_frame);
    service.set_answer([](const admin::request&) -> fake_service::reply { return {}; });
    terminal.wait_for("Trying again: " + service.path());
    terminal.wait_for("118 MB/s"); // what was seen last stays
    service.set_answer([](const admin::request& asked) -> fake_service::reply {
        return {asked.what == admin::command::status ? encoded(sample_status()) : encoded(sample_list())};
    });
    terminal.wait_for(frame);
    terminal.type("q");
    int status;
    (void)terminal.wait_for_end(status);
    EXPECT_EQ(status, 0);
}

TEST(top, that_cannot_connect_leaves_the_terminal_alone) {
    dlctl_in_terminal terminal({"--socket", "/nonexistent/admin.sock", "top"}, 80, 24);
    int status;
    const std::string printed = terminal.wait_for_end(status);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    EXPECT_THAT(printed, StartsWith("dlctl: /nonexistent/admin.sock: cannot connect"));
}

TEST(top, without_a_terminal_prints_one_picture_below_the_other) {
    fake_service service;
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    file_descriptor reader(out[0]), writer(out[1]);
    const file_descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int number : {SIGTERM, SIGPIPE}) {
        dlctl_program program({"--socket", service.path(), "top"}, nothing.get(), writer.get(),
                              nothing.get());
        const std::string first = dlctl::render_top(sample_status(), sample_list(), 0, 0) + '\n';
        // Nothing has been delivered since.
        auto standing = sample_list();
        for (auto& one : standing)
            one.bytes_per_second = 0;
        const std::string second = dlctl::render_top(sample_status(), standing, 0, 0) + '\n';
        const std::string printed = read_until(reader.get(), {}, [&](const std::string& so_far) {
            return so_far.size() >= first.size() + second.size();
        });
        EXPECT_THAT(printed, StartsWith(first + second));
        EXPECT_THAT(printed, Not(HasSubstr("\x1b")));
        if (number == SIGTERM)
            program.signal(SIGTERM);
        else
            reader.reset(); // as "| head" does
        const int status = program.wait();
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == number) << status;
    }
}

} // namespace
} // namespace dlhandoff::test
