#include "dlmanagerd/manager/throughput.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;

struct throughput_test : ::testing::Test {
    throughput meter;
    throughput::clock::time_point now{100h};
};

TEST_F(throughput_test, is_nothing_without_a_byte) {
    EXPECT_EQ(meter.per_second(now), 0U);
    meter.record(now, 0);
    EXPECT_EQ(meter.per_second(now + 5s), 0U);
}

TEST_F(throughput_test, counts_the_last_second_however_many_rounds) {
    std::uint64_t bytes = 0;
    for (int i = 0; i < 5'000; ++i) { // 1 kB each ms
        now += 1ms;
        meter.record(now, bytes += 1'000);
    }
    EXPECT_NEAR(static_cast<double>(meter.per_second(now)), 1e6, 1e5);
    for (int i = 0; i < 2'000; ++i) {
        now += 1ms;
        meter.record(now, bytes += 3'000);
    }
    EXPECT_NEAR(static_cast<double>(meter.per_second(now)), 3e6, 3e5);
}

TEST_F(throughput_test, forgets_what_was_sent_before_a_sleep) {
    meter.record(now, 0);
    meter.record(now + 10ms, 5'000'000);
    EXPECT_EQ(meter.per_second(now + 500ms), 5'000'000U);
    EXPECT_EQ(meter.per_second(now + 1500ms), 0U);
    meter.record(now + 60s, 5'000'700);
    EXPECT_EQ(meter.per_second(now + 60s), 700U);
}

} // namespace
} // namespace dlhandoff::service
