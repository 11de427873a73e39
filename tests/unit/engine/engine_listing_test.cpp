#include "engine/engine.hpp"

#include "tests/unit/engine/download.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

/// Clients that don't read: their transfers stay.
struct engine_listing_test : testing::Test {
    void begin(running_engine& runner) {
        runner.loop.run_once({}); // so that it knows the time
        tcp_pair connection;
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
        clients.push_back(std::move(connection.client));
        runner.begin(make_offer("head", file), std::move(descriptors));
    }
    static std::vector<transfer_listing> all_of(running_engine& runner) {
        std::vector<transfer_listing> found;
        runner.engine.begin_listing();
        EXPECT_FALSE(runner.engine.list(SIZE_MAX, [&](const auto& one) { found.push_back(one); }));
        return found;
    }
    static engine::engine_options one_at_a_time() {
        engine::engine_options options{.manager = "m7"};
        options.limits.all.transfers = 1;
        return options;
    }

    const sample_file file{8'000'000};
    std::vector<file_descriptor> clients;
};

TEST_F(engine_listing_test, says_what_there_is) {
    running_engine runner(one_at_a_time());
    EXPECT_TRUE(all_of(runner).empty());
    begin(runner);
    begin(runner);
    ASSERT_TRUE(runner.run_until([&] {
        std::string some;
        (void)read_available(clients.front().get(), some, 10'000);
        const auto listed = all_of(runner);
        return listed.back().delivered > 100'000 && listed.back().bytes_per_second > 0;
    }));
    const auto listed = all_of(runner);
    ASSERT_EQ(listed.size(), 2U);
    const transfer_listing& queued = listed[0]; // the youngest first
    const transfer_listing& sending = listed[1];
    EXPECT_EQ(sending.manager, "m7");
    EXPECT_EQ(sending.transfer_class, "default");
    EXPECT_EQ(sending.state, "sending");
    EXPECT_EQ(sending.expected, 4 + file.content().size());
    EXPECT_GE(sending.sent, sending.delivered);
    EXPECT_LT(sending.sent, sending.expected);
    EXPECT_GT(sending.age.count(), 0);
    EXPECT_EQ(sending.tls, "");
    EXPECT_EQ(queued.state, "queued");
    EXPECT_EQ(queued.sent, 0U);
    EXPECT_EQ(queued.delivered, 0U);
    EXPECT_EQ(queued.bytes_per_second, 0U);
    EXPECT_EQ(queued.queued, queued.age);
    EXPECT_NE(queued.id, sending.id);
}

TEST_F(engine_listing_test, draining_is_told_from_sending) {
    running_engine runner;
    begin(runner);
    ASSERT_TRUE(runner.run_until([&] {
        std::string some;
        (void)read_available(clients.front().get(), some);
        const auto listed = all_of(runner);
        return listed.size() == 1 && listed[0].state == "lingering" &&
               listed[0].delivered == listed[0].expected;
    }));
}

TEST_F(engine_listing_test, goes_on_where_it_stopped_whatever_ends_meanwhile) {
    running_engine runner;
    for (int i = 0; i < 7; ++i)
        begin(runner);
    const auto before = all_of(runner);
    ASSERT_EQ(before.size(), 7U);
    std::vector<std::string> seen;
    const auto see = [&](const transfer_listing& one) { seen.push_back(one.id); };
    runner.engine.begin_listing();
    EXPECT_TRUE(runner.engine.list(2, see));
    ASSERT_TRUE(runner.engine.cancel(before[2].id)); // the next one
    ASSERT_TRUE(runner.engine.cancel(before[3].id)); // and the one that is it now
    ASSERT_TRUE(runner.engine.cancel(before[1].id)); // one that was listed
    begin(runner);                                   // none of this listing's
    EXPECT_TRUE(runner.engine.list(2, see));
    EXPECT_FALSE(runner.engine.list(2, see));
    EXPECT_THAT(seen,
                ::testing::ElementsAre(before[0].id, before[1].id, before[4].id, before[5].id, before[6].id));
    runner.engine.begin_listing();
    EXPECT_TRUE(runner.engine.list(1, see));
    runner.engine.end_all(engine::outcome::shutdown);
    EXPECT_FALSE(runner.engine.list(1, see));
    EXPECT_EQ(seen.size(), 6U);
}

TEST_F(engine_listing_test, cancels_one_by_its_id_and_resets_its_client) {
    running_engine runner(one_at_a_time());
    begin(runner);
    begin(runner);
    begin(runner);
    const auto before = all_of(runner);
    const std::string& sending = before[2].id;
    const std::string& queued = before[1].id;
    for (const std::string& nobody : {std::string(), std::string("nonsense"), sending + "0", "0" + sending,
                                      sending.substr(0, sending.size() - 1), sending + " "})
        EXPECT_FALSE(runner.engine.cancel(nobody)) << nobody;
    EXPECT_TRUE(runner.engine.cancel(queued));
    EXPECT_TRUE(runner.engine.cancel(sending));
    EXPECT_FALSE(runner.engine.cancel(sending));
    ASSERT_TRUE(runner.run_until([&] { return runner.log_lines().size() == 2; }));
    const auto first = nlohmann::json::parse(runner.log_lines()[0]);
    const auto second = nlohmann::json::parse(runner.log_lines()[1]);
    EXPECT_EQ(first["id"], queued);
    EXPECT_EQ(first["outcome"], "cancelled");
    EXPECT_EQ(second["id"], sending);
    EXPECT_EQ(second["outcome"], "cancelled");
    // The last in the queue has its turn now.
    const auto left = all_of(runner);
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].id, before[0].id);
    EXPECT_EQ(left[0].state, "sending");
    std::string some;
    ASSERT_TRUE(runner.run_until([&] { return !read_available(clients[0].get(), some); }));
    EXPECT_LT(some.size(), file.content().size());
}

} // namespace
} // namespace dlhandoff::test
