#include "dlmanagerd/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ostream>
#include <pwd.h>
#include <string>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

std::string mistakes_in(const std::string& text) {
    try {
        (void)parse_configuration(text, "d.toml");
    } catch (const configuration_error& error) {
        return error.what();
    }
    return "none";
}

TEST(configuration, has_the_documented_defaults) {
    const configuration read = parse_configuration("", "d.toml");
    EXPECT_EQ(read.listen, "/run/dlmanagerd/manager.sock");
    EXPECT_EQ(read.drain_timeout, 30s);
    EXPECT_EQ(read.log.level, log_level::info);
    EXPECT_EQ(read.log.transfers, "");
    EXPECT_EQ(read.limits.descriptors, 0u);
    EXPECT_EQ(read.limits.transfers, 0u);
    EXPECT_EQ(read.limits.stall_timeout, 60s);
    if (const passwd* user = ::getpwnam("www-data"))
        EXPECT_THAT(read.allow_users, ElementsAre(user->pw_uid));
    else
        EXPECT_TRUE(read.allow_users.empty());
}

TEST(configuration, reads_every_key) {
    const configuration read = parse_configuration(R"(
listen = "/tmp/m.sock"
allow_users = ["root", 12345, 0]
drain_timeout = "0s"
[log]
level = "warning"
transfers = "/tmp/t.log"
[limits]
descriptors = 64
transfers = 7
stall_timeout = "250ms"
)",
                                                   "d.toml");
    EXPECT_EQ(read.listen, "/tmp/m.sock");
    EXPECT_THAT(read.allow_users, ElementsAre(0u, 12345u, 0u));
    EXPECT_EQ(read.drain_timeout, 0s);
    EXPECT_EQ(read.log.level, log_level::warning);
    EXPECT_EQ(read.log.transfers, "/tmp/t.log");
    EXPECT_EQ(read.limits.descriptors, 64u);
    EXPECT_EQ(read.limits.transfers, 7u);
    EXPECT_EQ(read.limits.stall_timeout, 250ms);
}

TEST(configuration, an_empty_list_of_users_takes_the_default_away) {
    EXPECT_TRUE(parse_configuration("allow_users = []", "d.toml").allow_users.empty());
}

TEST(configuration, knows_the_units_of_time) {
    const auto drain = [](const std::string& text) {
        return parse_configuration("drain_timeout = \"" + text + "\"", "d.toml").drain_timeout;
    };
    EXPECT_EQ(drain("1500ms"), 1500ms);
    EXPECT_EQ(drain("90s"), 90s);
    EXPECT_EQ(drain("5min"), 5min);
    EXPECT_EQ(drain("24h"), 24h);
}

struct mistake {
    const char* name;
    std::string text;
    std::string message;
};

void PrintTo(const mistake& one, std::ostream* to) {
    *to << one.name;
}

class configuration_mistake : public ::testing::TestWithParam<mistake> {};

TEST_P(configuration_mistake, is_named_with_file_line_key_and_what_is_allowed) {
    EXPECT_EQ(mistakes_in(GetParam().text), GetParam().message);
}

const std::string a_drain_time =
    R"(; allowed: a number with ms, s, min or h, such as "250ms" or "30s", from 0ms to 24h)";
const std::string a_stall_time =
    R"(; allowed: a number with ms, s, min or h, such as "250ms" or "30s", from 100ms to 24h)";
const std::string some_users =
    R"(; allowed: a list of user names or numeric user ids, such as ["www-data", 33])";
const std::string a_descriptor_limit =
    "; allowed: 32 to 1073741816, or 0 for as many as RLIMIT_NOFILE allows";

const mistake mistakes[] = {
    {"unknown_key", "\nspeed = 1\n",
     "d.toml:2: speed: unknown key; allowed here: listen, allow_users, drain_timeout, log, limits"},
    {"unknown_key_in_a_table", "[limits]\n\nqueue = 1\n",
     "d.toml:3: limits.queue: unknown key; allowed here: descriptors, transfers, stall_timeout"},
    {"unknown_table", "[class.bulk]\nweight = 1\n",
     "d.toml:1: class: unknown key; allowed here: listen, allow_users, drain_timeout, log, limits"},
    {"table_expected", "log = 3\n",
     "d.toml:1: log: expected a table, found an integer; allowed: [log] and its keys below it"},
    {"listen_type", "listen = 5\n",
     "d.toml:1: listen: expected a string, found an integer; allowed: an absolute path"},
    {"listen_relative", "\n\nlisten = \"m.sock\"\n",
     "d.toml:3: listen: \"m.sock\" is not an absolute path; allowed: an absolute path of at most 107 bytes"},
    {"listen_empty", "listen = \"\"\n",
     "d.toml:1: listen: \"\" is not an absolute path; allowed: an absolute path of at most 107 bytes"},
    {"listen_long", "listen = \"/" + std::string(107, 'x') + "\"\n",
     "d.toml:1: listen: the path has 108 bytes, too many for a Unix socket; allowed: an absolute path of at "
     "most 107 bytes"},
    {"users_type", "allow_users = \"root\"\n",
     "d.toml:1: allow_users: expected a list, found a string" + some_users},
    {"users_unknown", "allow_users = [\"root\",\n\"nobody-of-that-name\"]\n",
     "d.toml:2: allow_users: no user \"nobody-of-that-name\" on this machine" + some_users},
    {"users_negative", "allow_users = [-1]\n",
     "d.toml:1: allow_users: -1 is no user id; allowed: 0 to 4294967294"},
    {"users_unchanged", "allow_users = [4294967295]\n",
     "d.toml:1: allow_users: 4294967295 is no user id; allowed: 0 to 4294967294"},
    {"users_fraction", "allow_users = [1.5]\n",
     "d.toml:1: allow_users: expected names and numbers in it, found a fraction" + some_users},
    {"drain_type", "drain_timeout = 30\n",
     "d.toml:1: drain_timeout: expected a string, found an integer" + a_drain_time},
    {"drain_unit", "drain_timeout = \"30x\"\n",
     "d.toml:1: drain_timeout: \"30x\" is not a duration" + a_drain_time},
    {"drain_no_unit", "drain_timeout = \"30\"\n",
     "d.toml:1: drain_timeout: \"30\" is not a duration" + a_drain_time},
    {"drain_negative", "drain_timeout = \"-1s\"\n",
     "d.toml:1: drain_timeout: \"-1s\" is not a duration" + a_drain_time},
    {"drain_overflow", "drain_timeout = \"9223372036854775807h\"\n",
     "d.toml:1: drain_timeout: \"9223372036854775807h\" is not a duration" + a_drain_time},
    {"drain_long", "drain_timeout = \"25h\"\n",
     "d.toml:1: drain_timeout: \"25h\" is out of range" + a_drain_time},
    {"stall_short", "[limits]\nstall_timeout = \"99ms\"\n",
     "d.toml:2: limits.stall_timeout: \"99ms\" is out of range" + a_stall_time},
    {"level", "[log]\nlevel = \"loud\"\n",
     R"(d.toml:2: log.level: "loud" is not known; allowed: "debug", "info", "warning", "error")"},
    {"level_type", "[log]\nlevel = true\n",
     R"(d.toml:2: log.level: expected a string, found true or false; allowed: "debug", "info", "warning", "error")"},
    {"transfers_relative", "[log]\ntransfers = \"t.log\"\n",
     R"(d.toml:2: log.transfers: "t.log" is not an absolute path; allowed: an absolute path, or "" for no transfer log)"},
    {"descriptors_few", "[limits]\ndescriptors = 31\n",
     "d.toml:2: limits.descriptors: 31 is out of range" + a_descriptor_limit},
    {"descriptors_many", "[limits]\ndescriptors = 4294967360\n",
     "d.toml:2: limits.descriptors: 4294967360 is out of range" + a_descriptor_limit},
    {"descriptors_type", "[limits]\ndescriptors = \"64\"\n",
     "d.toml:2: limits.descriptors: expected an integer, found a string" + a_descriptor_limit},
    {"transfers_negative", "[limits]\ntransfers = -1\n",
     "d.toml:2: limits.transfers: -1 is out of range; allowed: 1 to 1073741816, or 0 for as many as "
     "descriptors allow"},
    {"several_at_once", "drain_timeout = \"x\"\nfoo = 1\n[log]\nlevel = \"y\"\n",
     "d.toml:1: drain_timeout: \"x\" is not a duration" + a_drain_time +
         "\nd.toml:2: foo: unknown key; allowed here: listen, allow_users, drain_timeout, log, limits"
         "\nd.toml:4: log.level: \"y\" is not known; allowed: \"debug\", \"info\", \"warning\", \"error\""},
};

INSTANTIATE_TEST_SUITE_P(all, configuration_mistake, ::testing::ValuesIn(mistakes),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(configuration, names_file_and_line_of_what_is_not_toml) {
    EXPECT_THAT(mistakes_in("listen = \"/a\"\nlisten = \"/b\"\n"), ::testing::StartsWith("d.toml:2: "));
    EXPECT_THAT(mistakes_in("\n\n[limits\n"), ::testing::StartsWith("d.toml:3: "));
}

TEST(configuration, a_file_that_cannot_be_read_is_a_mistake) {
    const auto load = [](const std::string& file) -> std::string {
        try {
            (void)load_configuration(file);
        } catch (const configuration_error& error) {
            return error.what();
        }
        return "none";
    };
    EXPECT_EQ(load("/nonexistent/d.toml"),
              "cannot read the configuration file /nonexistent/d.toml: No such file or directory");
    EXPECT_EQ(load("/etc"), "cannot read the configuration file /etc: Is a directory");
}

} // namespace
} // namespace dlhandoff::service
