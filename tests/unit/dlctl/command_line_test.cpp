#include "dlctl/command_line.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using namespace dlctl;

std::variant<command_line, exit_status> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "dlctl");
    return parse_command_line(static_cast<int>(words.size()), words.data());
}

command_line parsed(const std::vector<const char*>& words) {
    auto got = parse(words);
    EXPECT_TRUE(std::holds_alternative<command_line>(got)) << words.front();
    return std::holds_alternative<command_line>(got) ? std::get<command_line>(got) : command_line{};
}

TEST(command_line, commands_become_requests) {
    EXPECT_EQ(parsed({"status"}).request, (admin::request{admin::command::status, "", "", "", 0}));
    EXPECT_EQ(parsed({"list"}).request, (admin::request{admin::command::list, "", "", "", 0}));
    EXPECT_EQ(parsed({"list", "--client", "192.0.2.7", "--class", "bulk"}).request,
              (admin::request{admin::command::list, "192.0.2.7", "bulk", "", 0}));
    EXPECT_EQ(parsed({"cancel", "m1-42"}).request,
              (admin::request{admin::command::cancel, "", "", "m1-42", 0}));
    EXPECT_EQ(parsed({"drain"}).request, (admin::request{admin::command::drain, "", "", "", 0}));
    EXPECT_TRUE(parsed({"top"}).top);
    EXPECT_FALSE(parsed({"list"}).top);
}

TEST(command_line, options_may_come_before_the_command_and_behind_it) {
    EXPECT_EQ(parsed({"status"}).socket, "/run/dlmanagerd/admin.sock");
    EXPECT_FALSE(parsed({"status"}).json);
    for (const auto& got :
         {parsed({"--socket", "/x", "--json", "list"}), parsed({"list", "--socket", "/x", "--json"})}) {
        EXPECT_EQ(got.socket, "/x");
        EXPECT_TRUE(got.json);
        EXPECT_EQ(got.request.what, admin::command::list);
    }
}

struct wrong {
    std::vector<const char*> words;
    const char* says;
};
class wrong_usage : public ::testing::TestWithParam<wrong> {};

TEST_P(wrong_usage, says_what_is_wrong_and_exits_with_2) {
    ::testing::internal::CaptureStderr();
    const auto got = parse(GetParam().words);
    const std::string said = ::testing::internal::GetCapturedStderr();
    ASSERT_TRUE(std::holds_alternative<exit_status>(got));
    EXPECT_EQ(std::get<exit_status>(got), exit_status::usage);
    EXPECT_NE(said.find(GetParam().says), std::string::npos) << said;
}

const std::string too_long(200, 'x');
INSTANTIATE_TEST_SUITE_P(
    command_line, wrong_usage,
    ::testing::Values(wrong{{}, "A command (status, list, top, cancel or drain) is required"},
                      wrong{{"stop"}, "stop"}, wrong{{"status", "--colour"}, "--colour"},
                      wrong{{"cancel"}, "ID is required"}, wrong{{"cancel", ""}, "an ID can't be empty"},
                      wrong{{"cancel", "a", "b"}, "b"}, wrong{{"status", "--client", "x"}, "--client"},
                      wrong{{"status", "list"}, "list"}, wrong{{"--socket", "", "status"}, "can't be empty"},
                      wrong{{"--socket", too_long.c_str(), "status"}, "107 bytes at most"},
                      wrong{{"top", "--json"}, "top has no JSON"},
                      wrong{{"--json", "top"}, "top has no JSON"}));

TEST(command_line, help_and_version_exit_with_0) {
    for (const char* option : {"--help", "-h", "--version"}) {
        ::testing::internal::CaptureStdout();
        const auto got = parse({option});
        const std::string said = ::testing::internal::GetCapturedStdout();
        ASSERT_TRUE(std::holds_alternative<exit_status>(got)) << option;
        EXPECT_EQ(std::get<exit_status>(got), exit_status::clean);
        EXPECT_NE(said.find("dlctl"), std::string::npos) << said;
    }
}

} // namespace
} // namespace dlhandoff::test
