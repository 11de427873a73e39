#include "dlmanagerd/supervisor/restart_pause.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;

const restart_pause::clock::time_point start{1h};

TEST(restart_pause, grows_while_lives_are_short) {
    restart_pause one;
    auto now = start;
    for (const auto expected : {0ms, 100ms, 200ms, 400ms, 800ms, 1'600ms, 3'200ms, 5'000ms, 5'000ms}) {
        one.started(now);
        now += 1s;
        EXPECT_EQ(one.died(now), expected);
        EXPECT_EQ(one.not_before(), now + expected);
        now += expected;
    }
}

TEST(restart_pause, begins_anew_after_a_long_life) {
    restart_pause one;
    one.started(start);
    (void)one.died(start + 1s);
    one.started(start + 1s);
    EXPECT_EQ(one.died(start + 2s), 100ms);
    one.started(start + 3s);
    EXPECT_EQ(one.died(start + 3s + restart_pause::short_life), 0ms);
    one.started(start + 20s);
    EXPECT_EQ(one.died(start + 21s), 100ms) << "the one before was the first of a new row";
}

TEST(restart_pause, forgets) {
    restart_pause one;
    one.started(start);
    (void)one.died(start);
    (void)one.died(start);
    one.forget();
    EXPECT_LE(one.not_before(), start);
    one.started(start);
    EXPECT_EQ(one.died(start), 0ms);
}

} // namespace
} // namespace dlhandoff::service
