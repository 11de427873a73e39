#include "engine/limits/token_bucket.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using namespace std::chrono_literals;
using engine::token_bucket;

/// 1,000 bytes a second: it holds 200.
struct token_bucket_test : testing::Test {
    token_bucket_test() { bucket.set_rate(1'000, now); }
    token_bucket bucket;
    engine::clock::time_point now{1h};
};

TEST(token_bucket, without_a_rate_bounds_nothing) {
    EXPECT_FALSE(token_bucket().in_force());
}

TEST_F(token_bucket_test, begins_empty_and_fills_at_its_rate_up_to_its_depth) {
    EXPECT_TRUE(bucket.in_force());
    EXPECT_DOUBLE_EQ(bucket.available(now), 0);
    EXPECT_NEAR(bucket.available(now + 100ms), 100, 1e-6);
    EXPECT_NEAR(bucket.available(now + 10s), 200, 1e-6);
    EXPECT_DOUBLE_EQ(bucket.most(), 200);
}

TEST_F(token_bucket_test, says_when_it_will_have_enough) {
    EXPECT_FALSE(bucket.has(50, now));
    const auto due = bucket.when(50);
    EXPECT_FALSE(bucket.has(50, due - 1ms));
    EXPECT_TRUE(bucket.has(50, due));
}

TEST_F(token_bucket_test, counts_what_is_granted_and_not_spent_as_if_it_were_there) {
    (void)bucket.available(now + 1s);
    bucket.grant(150);
    EXPECT_NEAR(bucket.available(now + 1s), 50, 1e-6);
    EXPECT_NEAR(bucket.available(now + 10s), 50, 1e-6) << "or the two together were a longer burst";
    bucket.spend(150);
    EXPECT_NEAR(bucket.available(now + 20s), 200, 1e-6);
}

TEST_F(token_bucket_test, takes_back_what_was_not_spent) {
    (void)bucket.available(now + 1s);
    bucket.grant(150);
    bucket.give_back(150);
    EXPECT_DOUBLE_EQ(bucket.granted(), 0);
    EXPECT_NEAR(bucket.available(now + 1s), 200, 1e-6);
}

TEST_F(token_bucket_test, remembers_a_debt) {
    (void)bucket.available(now + 1s);
    bucket.overspend(300);
    EXPECT_NEAR(bucket.available(now + 1s), -100, 1e-6);
    EXPECT_NEAR(bucket.available(now + 1100ms), 0, 1e-6);
}

TEST_F(token_bucket_test, of_a_lower_rate_holds_less) {
    (void)bucket.available(now + 1s);
    bucket.set_rate(100, now + 1s);
    EXPECT_NEAR(bucket.available(now + 1s), 20, 1e-6);
}

} // namespace
} // namespace dlhandoff::test
