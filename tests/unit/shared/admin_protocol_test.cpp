#include "shared/admin_protocol.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using namespace admin;
using namespace std::chrono_literals;

transfer_listing some_transfer() {
    transfer_listing one;
    one.id = "m1-42";
    one.manager = "m1";
    one.state = "sending";
    one.client = "192.0.2.7";
    one.client_key = "alice";
    one.transfer_class = "bulk";
    one.vhost = "example.org";
    one.uri = "/a b/\"c\"?d=\\e";
    one.expected = 18'446'744'073'709'551'615U;
    one.sent = 12'345'678'901;
    one.delivered = 12'345'000'000;
    one.age = 90'061'001ms;
    one.queued = 250ms;
    one.bytes_per_second = 125'000'000;
    one.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384 user";
    return one;
}

figures some_figures() {
    figures counts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, {{"full", 13}, {"not-tcp", 14}}};
    return counts;
}

TEST(admin_protocol, every_line_of_an_answer_comes_back_as_it_was) {
    const answer_line lines[] = {
        manager_report{"m1", 4'294'967'295U, "live", some_figures()},
        totals{"1.2.3", 4, 2, some_figures()},
        some_transfer(),
        transfer_listing{},
        cancelled{"m1-42"},
        draining{3},
        end{},
        failure{"there is no transfer \"m1-43\""},
    };
    for (const answer_line& line : lines) {
        const std::string text = encode(line);
        EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
        EXPECT_EQ(decode_answer_line(text), line) << text;
    }
}

TEST(admin_protocol, lines_are_as_documented) {
    EXPECT_EQ(encode(end{}), "{\"end\":true}\n");
    EXPECT_EQ(encode(failure{"no"}), "{\"error\":\"no\"}\n");
    EXPECT_EQ(encode(request{command::list, "a", "b", "", 7}),
              "{\"command\":\"list\",\"client\":\"a\",\"class\":\"b\",\"limit\":7}\n");
    EXPECT_EQ(encode(request{}), "{\"command\":\"status\"}\n");
    EXPECT_EQ(encode(manager_report{"m1", 7, "live", {}}),
              "{\"name\":\"m1\",\"pid\":7,\"state\":\"live\",\"active\":0,\"queued\":0,\"idle\":0,"
              "\"bytes_per_second\":0,\"bytes_sent\":0,\"descriptors_used\":0,\"descriptors_limit\":0,"
              "\"tcp_memory\":0,\"tcp_memory_budget\":0,\"offers\":0,\"claims\":0,\"late\":0,"
              "\"refusals\":{}}\n");
    EXPECT_EQ(encode(transfer_listing{}),
              "{\"id\":\"\",\"manager\":\"\",\"state\":\"\",\"client\":\"\",\"client_key\":\"\","
              "\"class\":\"\",\"vhost\":\"\",\"uri\":\"\",\"expected\":0,\"sent\":0,\"delivered\":0,"
              "\"age_ms\":0,\"queued_ms\":0,\"bytes_per_second\":0,\"tls\":\"\"}\n");
}

TEST(admin_protocol, every_request_comes_back_as_it_was) {
    const request all[] = {{command::status, "", "", "", 0},
                           {command::list, "192.0.2.7", "bulk", "", 4'294'967'295U},
                           {command::cancel, "", "", "m1-42", 0},
                           {command::drain, "", "", "", 0}};
    for (const request& asked : all) {
        const auto got = decode_request(encode(asked));
        ASSERT_TRUE(std::holds_alternative<request>(got)) << std::get<std::string>(got);
        EXPECT_EQ(std::get<request>(got), asked);
    }
}

TEST(admin_protocol, text_that_is_not_UTF_8_is_replaced_and_controls_are_escaped) {
    transfer_listing one = some_transfer();
    one.uri = "/caf\xe9\x1b[2J\n\"";
    const std::string text = encode(one);
    EXPECT_NE(text.find("\"/caf\\ufffd\\u001b[2J\\n\\\"\""), std::string::npos) << text;
    one.uri = "/caf\xef\xbf\xbd\x1b[2J\n\"";
    EXPECT_EQ(decode_answer_line(text), answer_line(one));
}

TEST(admin_protocol, a_list_selects_by_client_or_its_key_and_by_class) {
    const transfer_listing one = some_transfer();
    EXPECT_TRUE(selects({command::list, "", "", "", 0}, one));
    EXPECT_TRUE(selects({command::list, "192.0.2.7", "", "", 0}, one));
    EXPECT_TRUE(selects({command::list, "alice", "bulk", "", 0}, one));
    EXPECT_FALSE(selects({command::list, "192.0.2", "", "", 0}, one));
    EXPECT_FALSE(selects({command::list, "alice", "default", "", 0}, one));
    transfer_listing odd = one;
    odd.client_key = "caf\xe9";
    EXPECT_TRUE(selects({command::list, "caf\xef\xbf\xbd", "", "", 0}, odd)) << "as a list shows it";
}

TEST(admin_protocol, sums_add_everything_refusals_by_reason) {
    figures sum = some_figures();
    sum += figures{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, {{"not-tcp", 1}, {"tls", 2}}};
    EXPECT_EQ(sum, (figures{101,
                            102,
                            103,
                            104,
                            105,
                            106,
                            107,
                            108,
                            109,
                            110,
                            111,
                            112,
                            {{"full", 13}, {"not-tcp", 15}, {"tls", 2}}}));
}

struct bad_request {
    const char* line;
    const char* why;
};
class bad_requests : public ::testing::TestWithParam<bad_request> {};

TEST_P(bad_requests, are_answered_with_why) {
    const auto got = decode_request(GetParam().line);
    ASSERT_TRUE(std::holds_alternative<std::string>(got)) << GetParam().line;
    EXPECT_EQ(std::get<std::string>(got), GetParam().why);
}

INSTANTIATE_TEST_SUITE_P(
    admin_protocol, bad_requests,
    ::testing::Values(
        bad_request{"", "a request is one JSON object, on one line"},
        bad_request{"status", "a request is one JSON object, on one line"},
        bad_request{"[]", "a request is one JSON object, on one line"},
        bad_request{"{\"command\":\"status\"", "a request is one JSON object, on one line"},
        bad_request{"{\"command\":\"\xe9\"}", "a request is one JSON object, on one line"},
        bad_request{"{}", "unknown command \"\"; there are status, list, cancel and drain"},
        bad_request{"{\"command\":\"stop\"}",
                    "unknown command \"stop\"; there are status, list, cancel and drain"},
        bad_request{"{\"command\":1}", "\"command\" has a value of the wrong kind"},
        bad_request{"{\"command\":\"list\",\"client\":null}", "\"client\" has a value of the wrong kind"},
        bad_request{"{\"command\":\"list\",\"limit\":-1}", "\"limit\" has a value of the wrong kind"},
        bad_request{"{\"command\":\"list\",\"limit\":4294967296}", "\"limit\" has a value of the wrong kind"},
        bad_request{"{\"command\":\"list\",\"limit\":1.5}", "\"limit\" has a value of the wrong kind"},
        bad_request{"{\"command\":\"cancel\"}", "cancel needs an \"id\"; list shows them"}));

TEST(admin_protocol, requests_may_have_keys_of_later_releases) {
    const auto got = decode_request("{\"colour\":\"red\",\"command\":\"drain\",\"more\":[{}]}");
    ASSERT_TRUE(std::holds_alternative<request>(got));
    EXPECT_EQ(std::get<request>(got).what, command::drain);
}

TEST(admin_protocol, lines_that_are_no_answer_are_nothing) {
    for (const char* line :
         {"", "x", "[]", "{}", "{\"end\":false}", "{\"id\":7}", "{\"name\":\"m1\",\"pid\":\"7\"}",
          "{\"name\":\"m1\",\"pid\":4294967296}", "{\"managers\":-1}", "{\"error\":{}}",
          "{\"name\":\"m1\",\"refusals\":[]}", "{\"name\":\"m1\",\"refusals\":{\"full\":\"1\"}}"})
        EXPECT_EQ(decode_answer_line(line), std::nullopt) << line;
    EXPECT_EQ(decode_answer_line("{\"id\":\"x\",\"new\":{}}")->index(),
              answer_line(transfer_listing{}).index());
    // Deep nesting overflows no stack.
    EXPECT_EQ(decode_answer_line(std::string(500'000, '[')), std::nullopt);
    EXPECT_EQ(decode_answer_line(std::string(200'000, '[') + std::string(200'000, ']')), std::nullopt);
}

} // namespace
} // namespace dlhandoff::test
