#include "dlmanagerd/log_throttle.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;

TEST(log_throttle, passes_one_a_minute_and_counts_the_others) {
    log_throttle throttle;
    const log_throttle::clock::time_point start{100h};
    EXPECT_EQ(throttle.admit(start), 0u);
    EXPECT_EQ(throttle.admit(start + 1s), std::nullopt);
    EXPECT_EQ(throttle.admit(start + 59s), std::nullopt);
    EXPECT_EQ(throttle.admit(start + 60s), 2u);
    EXPECT_EQ(throttle.admit(start + 61s), std::nullopt);
    EXPECT_EQ(throttle.admit(start + 10min), 1u);
    EXPECT_EQ(throttle.admit(start + 20min), 0u);
}

} // namespace
} // namespace dlhandoff::service
