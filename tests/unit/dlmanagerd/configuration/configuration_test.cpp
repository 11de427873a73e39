#include "dlmanagerd/configuration/configuration.hpp"

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
    EXPECT_EQ(read.managers, 0u);
    EXPECT_EQ(read.max_managers, 0u);
    EXPECT_EQ(read.duplicate_idle, 60s);
    EXPECT_EQ(read.admin, std::nullopt);
    EXPECT_EQ(read.log.level, log_level::info);
    EXPECT_EQ(read.log.transfers, "");
    EXPECT_EQ(read.limits.descriptors, 0u);
    EXPECT_EQ(read.limits.table.all.transfers, 0u);
    EXPECT_EQ(read.limits.table.all.stall_timeout, 60s);
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
managers = 3
max_managers = 5
duplicate_idle = "10ms"
admin = ""
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
    EXPECT_EQ(read.managers, 3u);
    EXPECT_EQ(read.max_managers, 5u);
    EXPECT_EQ(read.duplicate_idle, 10ms);
    EXPECT_EQ(read.admin, "");
    EXPECT_EQ(read.log.level, log_level::warning);
    EXPECT_EQ(read.log.transfers, "/tmp/t.log");
    EXPECT_EQ(read.limits.descriptors, 64u);
    EXPECT_EQ(read.limits.table.all.transfers, 7u);
    EXPECT_EQ(read.limits.table.all.stall_timeout, 250ms);
}

TEST(configuration, reads_limits_and_classes) {
    const auto table = parse_configuration(R"(
[class.bulk]
transfers = 5
rate = "1M"
weight = 3
priority = -1
stall_timeout = "5s"
[limits]
transfers = 100
per_client = 4
queue = 50
queue_timeout = "10s"
rate = "100M"
client_rate = 1000000
min_rate = "1K"
min_rate_window = "30s"
[class.default]
per_client = 2
)",
                                           "d.toml")
                           .limits.table;
    EXPECT_EQ(table.all, (engine::limits{100, 4, 50, 10s, 100 << 20, 1'000'000, 60s, 1024, 30s}));
    ASSERT_EQ(table.classes.size(), 2U);
    EXPECT_EQ(table.classes[0],
              (engine::class_limits{"default", {0, 2, 50, 10s, 0, 0, 60s, 1024, 30s}, 1, 0}));
    EXPECT_EQ(table.classes[1],
              (engine::class_limits{"bulk", {5, 0, 50, 10s, 1 << 20, 0, 5s, 1024, 30s}, 3, -1}));
    EXPECT_EQ(table.class_of("bulk"), 1U);
    EXPECT_EQ(table.class_of("nobody's"), 0U);
}

TEST(configuration, without_limits_there_are_the_documented_ones) {
    const auto limits = parse_configuration("", "d.toml").limits;
    EXPECT_EQ(limits.table.all, (engine::limits{0, 0, 10'000, 30s, 0, 0, 60s, 0, 60s}));
    ASSERT_EQ(limits.table.classes.size(), 1U);
    EXPECT_EQ(limits.table.classes[0].own, limits.table.all);
    EXPECT_EQ(default_configuration().limits.table, limits.table);
}

TEST(configuration, has_room_for_64_classes) {
    std::string text;
    for (int i = 0; i < 63; ++i)
        text += "[class.c" + std::to_string(i) + "]\n";
    EXPECT_EQ(parse_configuration(text, "d.toml").limits.table.classes.size(), 64U);
    EXPECT_EQ(mistakes_in(text + "[class.last]\n"),
              "d.toml:64: class.last: one class too many; allowed: 64 of them at most");
}

TEST(configuration, an_empty_list_of_users_takes_the_default_away) {
    EXPECT_TRUE(parse_configuration("allow_users = []", "d.toml").allow_users.empty());
}

TEST(configuration, auto_is_one_manager_a_core) {
    EXPECT_EQ(parse_configuration("managers = \"auto\"", "d.toml").managers, 0u);
}

TEST(configuration, has_the_admin_socket_beside_the_other) {
    EXPECT_EQ(admin_path_beside("/run/dlmanagerd/manager.sock"), "/run/dlmanagerd/admin.sock");
    EXPECT_EQ(admin_path_beside("/m"), "/admin.sock");
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

const std::string a_rate =
    R"(; allowed: bytes, or K, M or G of them, such as 65536 or "500K", from 100, or 0 for no bound)";
const std::string top_keys =
    "listen, allow_users, admin_users, drain_timeout, managers, max_managers, duplicate_idle, admin, log, "
    "limits, class";
const std::string common_keys =
    "transfers, per_client, queue, queue_timeout, rate, client_rate, stall_timeout, "
    "min_rate, min_rate_window";

const mistake mistakes[] = {
    {"unknown_key", "\nspeed = 1\n", "d.toml:2: speed: unknown key; allowed here: " + top_keys},
    {"unknown_key_in_a_table", "[limits]\n\nspeed = 1\n",
     "d.toml:3: limits.speed: unknown key; allowed here: descriptors, tcp_memory, " + common_keys},
    {"unknown_key_in_a_class", "[class.bulk]\ndescriptors = 1\n",
     "d.toml:2: class.bulk.descriptors: unknown key; allowed here: " + common_keys + ", weight, priority"},
    {"class_type", "class = 1\n",
     "d.toml:1: class: expected a table, found an integer; allowed: [class] and its keys below it"},
    {"class_alone", "[class]\nbulk = 1\n",
     "d.toml:2: class.bulk: expected a table, found an integer; allowed: [class.bulk] and its keys below it"},
    {"class_name", "[class.\"two words\"]\n",
     "d.toml:1: class.two words: this can't be the name of a class; allowed: a name of up to 64 letters, "
     "digits, "
     "'_' and '-'"},
    {"weight_none", "[class.bulk]\nweight = 0\n",
     "d.toml:2: class.bulk.weight: 0 is out of range; allowed: 1 to 1000"},
    {"weight_type", "[class.bulk]\nweight = \"1\"\n",
     "d.toml:2: class.bulk.weight: expected an integer, found a string; allowed: 1 to 1000"},
    {"priority_low", "[class.bulk]\npriority = -1001\n",
     "d.toml:2: class.bulk.priority: -1001 is out of range; allowed: -1000 to 1000"},
    {"rate_low", "[limits]\nrate = 99\n", "d.toml:2: limits.rate: 99 is out of range" + a_rate},
    {"rate_unit", "[limits]\nclient_rate = \"1Mbit\"\n",
     "d.toml:2: limits.client_rate: \"1Mbit\" is no number of bytes" + a_rate},
    {"rate_type", "[class.bulk]\nrate = 1.5\n",
     "d.toml:2: class.bulk.rate: expected an integer or a string, found a fraction" + a_rate},
    {"rate_negative", "[class.bulk]\nrate = -1\n",
     "d.toml:2: class.bulk.rate: \"-1\" is no number of bytes" + a_rate},
    {"queue_time", "[limits]\nqueue_timeout = \"0s\"\n",
     "d.toml:2: limits.queue_timeout: \"0s\" is out of range; allowed: a number with ms, s, min or h, such "
     "as "
     "\"250ms\" or \"30s\", from 1ms to 24h"},
    {"tcp_memory_small", "[limits]\ntcp_memory = \"1K\"\n",
     "d.toml:2: limits.tcp_memory: 1K is out of range; allowed: bytes, or K, M or G of them, such as 65536 "
     "or "
     "\"500K\", from 1048576, or 0 for half of what the system has for TCP"},
    {"unknown_table", "[bulk]\nweight = 1\n", "d.toml:1: bulk: unknown key; allowed here: " + top_keys},
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
    {"managers_word", "managers = \"many\"\n",
     R"(d.toml:1: managers: "many" is not known; allowed: 1 to 64, or "auto")"},
    {"managers_none", "managers = 0\n",
     R"(d.toml:1: managers: 0 is out of range; allowed: 1 to 64, or "auto")"},
    {"managers_type", "managers = 1.5\n",
     R"(d.toml:1: managers: expected an integer, found a fraction; allowed: 1 to 64, or "auto")"},
    {"managers_above_most", "max_managers = 2\nmanagers = 3\n",
     "d.toml:2: managers: 3 is more than max_managers; allowed: at most 2"},
    {"max_managers_many", "max_managers = 65\n",
     "d.toml:1: max_managers: 65 is out of range; allowed: 1 to 64, or \"auto\""},
    {"admin_is_listen", "listen = \"/a/b.sock\"\nadmin = \"/a/b.sock\"\n",
     "d.toml:2: admin: \"/a/b.sock\" is what `listen` names; allowed: an absolute path, or \"\" for no admin "
     "socket"},
    {"admin_beside_is_listen", "listen = \"/a/admin.sock\"\n",
     "d.toml:1: listen: the admin socket would be there; set `admin` to another path"},
    {"duplicate_idle_short", "duplicate_idle = \"9ms\"\n",
     "d.toml:1: duplicate_idle: \"9ms\" is out of range; allowed: a number with ms, s, min or h, such as "
     "\"250ms\" or \"30s\", from 10ms to 24h"},
    {"admin_relative", "admin = \"a.sock\"\n",
     "d.toml:1: admin: \"a.sock\" is not an absolute path; allowed: an absolute path of at most 107 bytes; "
     "or "
     "\"\" for no admin socket"},
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
     "d.toml:2: limits.transfers: -1 is out of range; allowed: 1 to 1000000000, or 0 for as many as "
     "descriptors allow"},
    {"several_at_once", "drain_timeout = \"x\"\nfoo = 1\n[log]\nlevel = \"y\"\n",
     "d.toml:1: drain_timeout: \"x\" is not a duration" + a_drain_time +
         "\nd.toml:2: foo: unknown key; allowed here: " + top_keys +
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
