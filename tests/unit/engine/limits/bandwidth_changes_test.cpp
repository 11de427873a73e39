#include "tests/unit/engine/limits/rate_simulation.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

TEST(bandwidth_changes, changed_limits_apply_to_downloads_under_way) {
    rate_simulation simulation(limits_of(1'000'000'000));
    auto& one = simulation.add("client");
    auto& two = simulation.add("client");
    simulation.run_for(1s);
    for (const std::uint64_t rate : {1'000ULL, 10'000'000ULL, 100'000ULL, 5'000'000ULL}) {
        simulation.set_limits(limits_of(rate));
        simulation.reset_counts();
        simulation.run_for(5s);
        EXPECT_NEAR(rate_of(simulation.sent(), 5s), static_cast<double>(rate),
                    0.05 * static_cast<double>(rate));
        EXPECT_NEAR(static_cast<double>(one.sent), static_cast<double>(two.sent),
                    0.1 * rate_of(one.sent, 1s));
    }
    EXPECT_LE(simulation.longest_burst(), most_burst);
    // Without a rate, those that wait are woken.
    simulation.set_limits(limits_of(1'000));
    simulation.run_for(1ms);
    ASSERT_TRUE(one.waits_for_rate());
    one.left = two.left = 1'000'000;
    simulation.set_limits(limits_of(0));
    simulation.run_for(10ms);
    EXPECT_EQ(one.left + two.left, 0U);
}

TEST(bandwidth_changes, the_same_limits_again_change_nothing) {
    rate_simulation simulation(limits_of(0, 1'000'000));
    simulation.add("client");
    simulation.run_for(5s);
    simulation.reset_counts();
    for (int i = 0; i < 500; ++i) {
        simulation.set_limits(limits_of(0, 1'000'000));
        simulation.run_for(10ms);
    }
    EXPECT_NEAR(rate_of(simulation.sent(), 5s), 1e6, 5e4);
}

TEST(bandwidth_changes, downloads_keep_their_class_by_name) {
    auto limits = limits_of(0, 0, 3);
    limits.classes[1].own.rate = 100'000;
    limits.classes[2].own.rate = 200'000;
    rate_simulation simulation(limits);
    auto& in_1 = simulation.add("a", 1);
    auto& in_2 = simulation.add("b", 2);
    simulation.run_for(1s);
    // Class c1 is gone: its download goes to the first. c2 has moved.
    limits.classes.erase(limits.classes.begin() + 1);
    limits.classes[0].own.rate = 50'000;
    bandwidth& rates = simulation.rates();
    rates.set_limits(limits, simulation.now());
    simulation.reset_counts();
    simulation.run_for(10s);
    EXPECT_NEAR(rate_of(in_1.sent, 10s), 50e3, 3e3);
    EXPECT_NEAR(rate_of(in_2.sent, 10s), 200e3, 10e3);
}

TEST(bandwidth_changes, an_own_rate_may_come_later_and_go_again) {
    rate_simulation simulation(limits_of(50'000'000));
    auto& one = simulation.add("client");
    simulation.run_for(1s);
    for (const std::uint64_t rate : {100'000ULL, 2'000ULL, 1'000'000ULL}) {
        simulation.set_own_rate(one, rate);
        simulation.reset_counts();
        simulation.run_for(10s);
        EXPECT_NEAR(rate_of(one.sent, 10s), static_cast<double>(rate), 0.05 * static_cast<double>(rate));
    }
    EXPECT_LE(simulation.longest_burst(), most_burst);
    simulation.set_own_rate(one, 0);
    simulation.reset_counts();
    simulation.run_for(10s);
    EXPECT_NEAR(rate_of(one.sent, 10s), 5e7, 25e5);
}

TEST(bandwidth_changes, downloads_may_leave_at_any_time) {
    rate_simulation simulation(limits_of(1'000'000, 500'000));
    std::vector<simulated_download*> all;
    for (int i = 0; i < 30; ++i)
        all.push_back(&simulation.add("client" + std::to_string(i % 4), 0, i % 3 == 0 ? 50'000 : 0));
    for (simulated_download* one : all) {
        simulation.run_for(37ms);
        simulation.leave(*one);
        simulation.leave(*one); // again: nothing happens
    }
    EXPECT_EQ(simulation.rates().next_deadline(), clock::time_point::max());
    EXPECT_EQ(simulation.rates().busy_clients(simulation.now()), 0U);
    EXPECT_LE(simulation.longest_burst(), most_burst);
}

TEST(bandwidth_changes, a_download_may_leave_while_others_are_woken) {
    bandwidth rates;
    bandwidth::entry one, two;
    clock::time_point now{1h};
    rates.set_limits(limits_of(1'000'000), now);
    rates.enter(one, 0, "a", 0, now);
    rates.enter(two, 0, "b", 0, now);
    EXPECT_EQ(rates.ask(one, 10, now) + rates.ask(two, 10, now), 0U);
    int woken = 0;
    now += 100ms;
    rates.run_due(now, [&](bandwidth::entry& first) {
        ++woken;
        rates.leave(&first == &one ? two : one);
    });
    EXPECT_EQ(woken, 1);
    rates.leave(one);
    rates.leave(two);
}

} // namespace
} // namespace dlhandoff::test
