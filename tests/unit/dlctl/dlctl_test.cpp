#include "dlctl/admin_connection.hpp"
#include "dlctl/rendering.hpp"
#include "tests/unit/dlctl/dlctl_program.hpp"
#include "tests/unit/dlctl/fake_service.hpp"
#include "tests/unit/dlctl/sample_answers.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using then = fake_service::reply::then;

TEST(dlctl, shows_status_and_list_as_wide_as_they_are_where_there_is_no_terminal) {
    fake_service service;
    auto got = run_dlctl({"--socket", service.path(), "status"});
    EXPECT_EQ(got.status, 0) << got.error;
    EXPECT_EQ(got.output, dlctl::render_status(sample_status(), 0));
    EXPECT_EQ(got.error, "");
    got = run_dlctl({"list", "--socket", service.path(), "--client", "192.0.2.7", "--class", "bulk"});
    EXPECT_EQ(got.status, 0) << got.error;
    EXPECT_EQ(got.output, dlctl::render_list(sample_list(), 0));
    EXPECT_EQ(service.requests(),
              (std::vector<admin::request>{{admin::command::status, "", "", "", 0},
                                           {admin::command::list, "192.0.2.7", "bulk", "", 0}}));
}

TEST(dlctl, fits_a_list_to_the_terminal) {
    fake_service service;
    dlctl_in_terminal terminal({"--socket", service.path(), "list"}, 40, 24);
    int status;
    std::string printed = terminal.wait_for_end(status);
    EXPECT_EQ(status, 0);
    std::erase(printed, '\r'); // the terminal's
    EXPECT_EQ(printed, dlctl::render_list(sample_list(), 40));
}

TEST(dlctl, shows_a_list_of_very_many) {
    fake_service service([](const admin::request&) -> fake_service::reply {
        dlctl::list_answer all(20'000, sample_list().front());
        return {encoded(all)};
    });
    const auto got = run_dlctl({"--socket", service.path(), "list"});
    EXPECT_EQ(got.status, 0) << got.error;
    EXPECT_EQ(std::count(got.output.begin(), got.output.end(), '\n'), 20'001);
}

TEST(dlctl, prints_json_unchanged) {
    const std::string lines = "{ \"name\" : \"m1\", \"later\": [1] }\n{\"managers\":1}\n{\"end\":true}\n";
    fake_service service([&](const admin::request&) -> fake_service::reply { return {lines}; });
    const auto got = run_dlctl({"--socket", service.path(), "--json", "status"});
    EXPECT_EQ(got.status, 0) << got.error;
    EXPECT_EQ(got.output, lines);
}

TEST(dlctl, cancels_and_drains) {
    fake_service service([](const admin::request& asked) -> fake_service::reply {
        if (asked.what == admin::command::drain)
            return {admin::encode(admin::draining{2}) + admin::encode(admin::end{})};
        if (asked.id == "m1-1")
            return {admin::encode(admin::cancelled{asked.id}) + admin::encode(admin::end{})};
        return {admin::encode(admin::failure{"there is no transfer " + asked.id})};
    });
    auto got = run_dlctl({"--socket", service.path(), "cancel", "m1-1"});
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.output, "Cancelled m1-1.\n");
    got = run_dlctl({"--socket", service.path(), "drain"});
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.output, "2 managers finish what is under way, and new downloads stay with httpd.\n");
    got = run_dlctl({"--socket", service.path(), "cancel", "m1-\x1b[2J"});
    EXPECT_EQ(got.status, 1);
    EXPECT_EQ(got.output, "");
    EXPECT_EQ(got.error, "dlctl: there is no transfer m1-\\x1b[2J\n");
    got = run_dlctl({"--socket", service.path(), "--json", "cancel", "x"});
    EXPECT_EQ(got.status, 1);
    EXPECT_EQ(got.output, "{\"error\":\"there is no transfer x\"}\n");
}

TEST(dlctl, wrong_usage_exits_with_2) {
    const auto got = run_dlctl({"stop"});
    EXPECT_EQ(got.status, 2);
    EXPECT_THAT(got.error, HasSubstr("stop"));
    EXPECT_EQ(run_dlctl({"--help"}).status, 0);
    EXPECT_THAT(run_dlctl({"--version"}).output, HasSubstr("dlctl "));
}

// ---- errors say what, where, and what to do

TEST(dlctl, says_where_nobody_is_and_what_to_do) {
    std::string path;
    {
        fake_service service;
        path = service.path();
        service.stop();
        const auto refused = run_dlctl({"--socket", path, "status"});
        EXPECT_EQ(refused.status, 1);
        EXPECT_THAT(refused.error, HasSubstr(path + ": cannot connect: Connection refused"));
        EXPECT_THAT(refused.error, HasSubstr("systemctl status dlmanagerd"));
    }
    const auto missing = run_dlctl({"--socket", path, "status"});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.error, HasSubstr(path + ": cannot connect: No such file or directory"));
    EXPECT_THAT(missing.error, HasSubstr("--socket PATH names another"));
}

TEST(dlctl, says_who_may_ask) {
    if (::geteuid() == 0)
        GTEST_SKIP() << "root may connect to everything";
    fake_service service;
    ::chmod(service.path().c_str(), 0);
    const auto got = run_dlctl({"--socket", service.path(), "status"});
    EXPECT_EQ(got.status, 1);
    EXPECT_THAT(got.error,
                HasSubstr("Permission denied; only root, the service's user and its admin_users may ask"));
}

struct bad_answer {
    const char* name;
    std::string text;
    const char* says;
};
class bad_answers : public ::testing::TestWithParam<bad_answer> {};

TEST_P(bad_answers, are_told_and_exit_with_1) {
    fake_service service([](const admin::request&) -> fake_service::reply { return {GetParam().text}; });
    const auto got = run_dlctl({"--socket", service.path(), "list"});
    EXPECT_EQ(got.status, 1);
    EXPECT_EQ(got.output, "");
    EXPECT_THAT(got.error, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    dlctl, bad_answers,
    ::testing::Values(bad_answer{"nothing", "", "ended the connection before the end of its answer"},
                      bad_answer{"no_end", admin::encode(admin::totals{}), "before the end of its answer"},
                      bad_answer{"half_a_line", "{\"end\":tr", "before the end of its answer"},
                      bad_answer{"no_json", "HTTP/1.1 400\r\n",
                                 "does not understand: are they of the same release"},
                      bad_answer{"no_line", std::string(2'000'000, 'x'), "a line without an end"},
                      bad_answer{"hostile_error", "{\"error\":\"\\u001b[2J\"}\n", "dlctl: \\x1b[2J"}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(admin_connection, gives_up_on_a_service_that_hangs) {
    fake_service service([](const admin::request&) -> fake_service::reply {
        return {admin::encode(admin::totals{}), then::hang};
    });
    int lines = 0;
    // On a busy machine even the first line may take longer than that: then with more patience.
    for (auto patience = 50ms; lines == 0 && patience < 20s; patience *= 4) {
        try {
            dlctl::ask_service(
                service.path(), {}, [&](auto, const auto&) { ++lines; }, patience);
            ADD_FAILURE() << "it did not give up";
        } catch (const dlctl::admin_error& error) {
            EXPECT_THAT(error.what(), HasSubstr("no answer for"));
        }
    }
    EXPECT_EQ(lines, 1);
}

TEST(dlctl, says_that_it_cannot_print) {
    fake_service service;
    const file_descriptor full(::open("/dev/full", O_RDWR | O_CLOEXEC));
    int error[2];
    ASSERT_EQ(::pipe2(error, O_CLOEXEC), 0);
    const file_descriptor reader(error[0]);
    file_descriptor writer(error[1]);
    for (const char* json : {"--json", "--class=x"}) {
        dlctl_program program({"--socket", service.path(), "list", json}, full.get(), full.get(),
                              writer.get());
        const int status = program.wait();
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << json;
    }
    writer.reset();
    EXPECT_THAT(read_until(reader.get(), {}, [](const std::string&) { return false; }),
                HasSubstr("dlctl: cannot write to standard output: No space left on device"));
}

} // namespace
} // namespace dlhandoff::test
