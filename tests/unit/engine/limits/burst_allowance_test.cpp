#include "engine/limits/burst_allowance.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace dlhandoff::test {
namespace {

using namespace std::chrono_literals;
using engine::burst_allowance;

constexpr pace speed{1'000, 4'000};

struct burst_allowance_test : testing::Test {
    burst_allowance all;
    engine::clock::time_point now{1h};

    [[nodiscard]] burst_allowance::handle open(std::string_view client = "192.0.2.1",
                                               std::uint64_t inode = 7) {
        return all.open(client, 1, inode, now);
    }
    [[nodiscard]] std::uint64_t left(const burst_allowance::handle& of, const pace& at = speed) const {
        return burst_allowance::left(*of, at, now);
    }
    void spend(const burst_allowance::handle& of, std::uint64_t bytes, const pace& at = speed) const {
        burst_allowance::spend(*of, at, bytes, now);
    }
};

TEST_F(burst_allowance_test, is_whole_at_first_and_used_up_to_the_byte) {
    const auto one = open();
    EXPECT_EQ(left(one), 4'000U);
    spend(one, 3'999);
    EXPECT_EQ(left(one), 1U);
    spend(one, 1);
    EXPECT_EQ(left(one), 0U);
}

TEST_F(burst_allowance_test, is_not_given_anew_to_the_next_download) {
    auto one = open();
    spend(one, 3'000);
    one.reset();
    one = open();
    EXPECT_EQ(left(one), 1'000U);
}

TEST_F(burst_allowance_test, is_shared_by_downloads_at_the_same_time) {
    const auto one = open();
    const auto other = open();
    spend(one, 3'000);
    EXPECT_EQ(left(other), 1'000U);
    spend(other, 500);
    EXPECT_EQ(left(one), 500U);
}

TEST_F(burst_allowance_test, is_each_clients_and_each_files_own) {
    const auto one = open();
    spend(one, 4'000);
    EXPECT_EQ(left(open("192.0.2.2")), 4'000U);
    EXPECT_EQ(left(open("192.0.2.1", 8)), 4'000U);
    EXPECT_EQ(left(all.open("192.0.2.1", 2, 7, now)), 4'000U);
}

TEST_F(burst_allowance_test, comes_back_at_the_rate_and_no_further_than_it_was) {
    auto one = open();
    spend(one, 4'000);
    now += 1'500ms;
    EXPECT_EQ(left(one), 1'500U);
    one.reset();
    now += 500ms;
    one = open();
    EXPECT_EQ(left(one), 2'000U);
    now += 24h;
    EXPECT_EQ(left(one), 4'000U);
}

TEST_F(burst_allowance_test, does_not_come_back_while_the_rate_is_used) {
    const auto one = open();
    spend(one, 4'000);
    for (int i = 0; i < 100; ++i) {
        now += 100ms;
        spend(one, 100);
    }
    EXPECT_EQ(left(one), 0U);
}

TEST_F(burst_allowance_test, is_back_in_time_however_much_went_at_the_rate) {
    const auto one = open();
    for (int i = 0; i < 100; ++i)
        spend(one, 4'000); // several at the same time, each at the rate
    now += 4s;
    EXPECT_EQ(left(one), 4'000U);
}

/// The fault that it is there for: hundreds of ranges, each broken off and asked for again.
TEST_F(burst_allowance_test, reopened_downloads_get_no_more_than_it_and_the_rate) {
    std::uint64_t sent = 0;
    const auto began = now;
    for (int i = 0; i < 500; ++i) {
        const auto one = open();
        const std::uint64_t at_once = left(one);
        spend(one, at_once);
        sent += at_once;
        now += 10ms;
        spend(one, 10); // and what the rate allows
        sent += 10;
    }
    const std::chrono::duration<double> time = now - began;
    EXPECT_LE(static_cast<double>(sent), 4'000 + 1'000 * time.count());
}

TEST_F(burst_allowance_test, obeys_the_directive_of_each_download) {
    auto one = open();
    spend(one, 4'000);
    EXPECT_EQ(left(one, {1'000, 10'000}), 6'000U);
    EXPECT_EQ(left(one, {1'000, 1'000}), 0U);
    EXPECT_EQ(left(one), 0U);
}

TEST_F(burst_allowance_test, that_is_whole_again_is_forgotten) {
    spend(open("192.0.2.1"), 1'000);
    spend(open("192.0.2.2"), 1'000);
    EXPECT_EQ(all.size(), 2U);
    now += 1s;
    const auto one = open("192.0.2.3");
    EXPECT_EQ(all.size(), 1U);
}

TEST(burst_allowance, remembers_so_many_and_those_in_use) {
    burst_allowance all(3);
    const engine::clock::time_point now{1h};
    const auto spend_all = [&](const burst_allowance::handle& of) {
        burst_allowance::spend(*of, speed, 4'000, now);
    };
    std::vector<burst_allowance::handle> used;
    for (int i = 0; i < 10; ++i) {
        used.push_back(all.open("used", 1, static_cast<std::uint64_t>(i), now));
        spend_all(used.back());
    }
    for (int i = 0; i < 10; ++i)
        spend_all(all.open(std::to_string(i), 1, 1, now));
    EXPECT_EQ(all.size(), 13U);
    const auto left = [&](std::string_view client) {
        return burst_allowance::left(*all.open(client, 1, 1, now), speed, now);
    };
    EXPECT_EQ(left("9"), 0U);
    EXPECT_EQ(left("8"), 0U);
    EXPECT_EQ(left("7"), 0U);
    EXPECT_EQ(left("6"), 4'000U);
    used.clear();
    EXPECT_EQ(all.size(), 3U);
}

TEST(burst_allowance, is_exact_for_large_numbers_too) {
    burst_allowance all;
    engine::clock::time_point now{10'000h};
    constexpr pace fast{10'000'000'000, 1'000'000'000'000'000};
    const auto one = all.open("client", 1, 1, now);
    std::uint64_t spent = 0;
    for (int i = 0; i < 1'000; ++i) {
        burst_allowance::spend(*one, fast, 524'287, now);
        spent += 524'287;
        ASSERT_GE(burst_allowance::left(*one, fast, now), fast.after - spent);
        now += 1us;
    }
}

} // namespace
} // namespace dlhandoff::test
