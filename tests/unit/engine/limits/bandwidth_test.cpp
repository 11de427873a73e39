#include "tests/unit/engine/limits/rate_simulation.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

// ---- which rate is in force

TEST(bandwidth, without_a_rate_every_wish_is_granted_and_nothing_is_awaited) {
    bandwidth rates;
    bandwidth::entry one;
    const clock::time_point now{1h};
    rates.enter(one, 0, "client", 0, now);
    EXPECT_EQ(rates.ask(one, UINT64_MAX, now), UINT64_MAX);
    rates.spent(one, 1'000'000'000'000);
    EXPECT_EQ(rates.ask(one, 12'345, now), 12'345U);
    EXPECT_EQ(rates.next_deadline(), clock::time_point::max());
    EXPECT_EQ(rates.busy_clients(now), 0U);
    rates.leave(one);
}

TEST(bandwidth, a_rate_of_one_class_does_not_bound_another) {
    auto limits = limits_of(0, 0, 2);
    limits.classes[1].own.rate = 1000;
    bandwidth rates;
    bandwidth::entry free, bound;
    const clock::time_point now{1h};
    rates.set_limits(limits, now);
    rates.enter(free, 0, "client", 0, now);
    rates.enter(bound, 1, "client", 0, now);
    EXPECT_EQ(rates.ask(free, 1'000'000, now), 1'000'000U);
    EXPECT_EQ(rates.ask(bound, 1'000'000, now), 0U);
    EXPECT_TRUE(bound.waits_for_rate());
    rates.leave(free);
    rates.leave(bound);
    EXPECT_EQ(rates.next_deadline(), clock::time_point::max());
}

struct kind {
    const char* name;
    void (*set)(engine::limit_table&, std::uint64_t rate);
    bool own = false;
};
const kind kinds[] = {
    {"all", [](engine::limit_table& limits, std::uint64_t rate) { limits.all.rate = rate; }},
    {"client", [](engine::limit_table& limits, std::uint64_t rate) { limits.all.client_rate = rate; }},
    {"class", [](engine::limit_table& limits, std::uint64_t rate) { limits.classes[0].own.rate = rate; }},
    {"class_client",
     [](engine::limit_table& limits, std::uint64_t rate) { limits.classes[0].own.client_rate = rate; }},
    {"own", [](engine::limit_table&, std::uint64_t) {}, true},
};

class bandwidth_kind : public ::testing::TestWithParam<kind> {};

TEST_P(bandwidth_kind, is_kept_from_1_kB_a_second_to_10_Gb_a_second) {
    for (const std::uint64_t rate :
         {1'000ULL, 20'000ULL, 100'000ULL, 1'000'000ULL, 10'000'000ULL, 125'000'000ULL, 1'250'000'000ULL})
        for (const std::size_t count : {1U, 3U, 40U}) {
            if (GetParam().own && count > 1)
                continue;
            auto limits = limits_of(0);
            GetParam().set(limits, rate);
            rate_simulation simulation(limits);
            simulation.set_lateness(20ms);
            for (std::size_t i = 0; i < count; ++i)
                simulation.add("client", 0, GetParam().own ? rate : 0);
            simulation.run_for(10s);
            const double got = rate_of(simulation.sent(), 10s);
            EXPECT_NEAR(got, static_cast<double>(rate), 0.05 * static_cast<double>(rate))
                << count << " downloads at " << rate << " bytes a second";
            EXPECT_LE(simulation.longest_burst(), most_burst) << count << " downloads at " << rate;
        }
}

TEST_P(bandwidth_kind, is_kept_by_a_loop_whose_rounds_take_20_ms) {
    for (const std::uint64_t rate : {1'000ULL, 1'000'000ULL, 1'250'000'000ULL}) {
        auto limits = limits_of(0);
        GetParam().set(limits, rate);
        rate_simulation simulation(limits);
        simulation.set_round(20ms);
        simulation.set_lateness(20ms);
        simulation.add("client", 0, GetParam().own ? rate : 0);
        simulation.run_for(10s);
        EXPECT_NEAR(rate_of(simulation.sent(), 10s), static_cast<double>(rate),
                    0.05 * static_cast<double>(rate));
        EXPECT_LE(simulation.longest_burst(), most_burst) << rate;
    }
}

TEST_P(bandwidth_kind, allows_no_longer_burst_after_a_pause) {
    for (const std::uint64_t rate : {1'000ULL, 1'000'000ULL, 1'250'000'000ULL}) {
        auto limits = limits_of(0);
        GetParam().set(limits, rate);
        rate_simulation simulation(limits);
        auto& one = simulation.add("client", 0, GetParam().own ? rate : 0);
        simulation.run_for(1s);
        // It takes nothing for long, while it is granted something, and then all that it can get.
        one.socket_rate = 1;
        one.room = 0;
        simulation.run_for(30s);
        one.socket_rate = 0;
        one.blocked_until = simulation.now();
        simulation.run_for(1s);
        EXPECT_LE(simulation.longest_burst(), most_burst) << rate;
    }
}

INSTANTIATE_TEST_SUITE_P(rates, bandwidth_kind, ::testing::ValuesIn(kinds),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(bandwidth, records_that_add_bytes_count_with_them) {
    rate_simulation simulation(limits_of(1'000'000));
    simulation.tls_overhead = 0.05;
    simulation.add("a");
    simulation.add("b");
    simulation.run_for(10s);
    EXPECT_NEAR(rate_of(simulation.sent(), 10s), 1e6, 5e4);
}

TEST(bandwidth, the_lowest_of_several_rates_decides) {
    auto limits = limits_of(10'000'000, 4'000'000, 2);
    limits.classes[1].own.rate = 3'000'000;
    limits.classes[1].own.client_rate = 2'000'000;
    rate_simulation simulation(limits);
    auto& slow = simulation.add("a", 1, 1'000'000);
    auto& other = simulation.add("a", 1);
    auto& outside = simulation.add("a", 0);
    simulation.run_for(10s);
    EXPECT_NEAR(rate_of(slow.sent, 10s), 1e6, 5e4);
    EXPECT_NEAR(rate_of(other.sent, 10s), 1e6, 5e4) << "the client has 2 MB/s in the class";
    EXPECT_NEAR(rate_of(outside.sent, 10s), 2e6, 1e5) << "the client has 4 MB/s in all";
    EXPECT_LE(simulation.longest_burst(), most_burst);
}

// ---- grants

TEST(bandwidth, grants_are_large_where_the_rate_is_and_small_where_it_is_small) {
    const auto typical = [](std::uint64_t rate, int count) {
        rate_simulation simulation(limits_of(rate));
        for (int i = 0; i < count; ++i)
            simulation.add("client" + std::to_string(i));
        simulation.run_for(1s);
        simulation.reset_counts();
        simulation.run_for(4s);
        std::uint64_t answers = 0;
        for (const auto& one : simulation.downloads)
            answers += one->answers;
        return static_cast<double>(simulation.sent()) / static_cast<double>(answers);
    };
    EXPECT_GE(typical(1'250'000'000, 1), 500'000);
    EXPECT_GE(typical(10'000'000, 1), 400'000);
    EXPECT_GE(typical(1'000'000, 3), 15'000);
    EXPECT_GE(typical(10'000'000, 100), 9'000);
    EXPECT_GE(typical(1'000'000, 200), 1'400) << "never less than a packet, where that takes no time";
    EXPECT_LE(typical(1'000, 1), 200) << "not more than the burst";
    EXPECT_GE(typical(1'000, 1), 50);
}

TEST(bandwidth, no_shared_rate_wakes_more_than_some_1000_downloads_a_second) {
    for (const std::uint64_t rate : {10'000'000ULL, 125'000'000ULL, 1'250'000'000ULL}) {
        rate_simulation simulation(limits_of(rate));
        for (int i = 0; i < 300; ++i)
            simulation.add("client" + std::to_string(i));
        simulation.run_for(5s);
        EXPECT_LE(simulation.wakes(), 5U * 1100) << rate;
    }
}

TEST(bandwidth, wake_ups_are_no_closer_together_than_a_tick) {
    bandwidth rates;
    std::vector<bandwidth::entry> all(100); // each grant is of a millisecond
    clock::time_point now{1h};
    rates.set_limits(limits_of(100'000'000), now);
    for (auto& one : all) {
        rates.enter(one, 0, "client", 0, now);
        EXPECT_EQ(rates.ask(one, UINT64_MAX, now), 0U);
    }
    for (int i = 0; i < 20; ++i) {
        std::vector<bandwidth::entry*> woken;
        now = rates.next_deadline();
        rates.run_due(now, [&](bandwidth::entry& one) { woken.push_back(&one); });
        EXPECT_TRUE(i == 0 || !woken.empty());
        for (bandwidth::entry* one : woken)
            while (const auto may = rates.ask(*one, UINT64_MAX, now))
                rates.spent(*one, may);
        EXPECT_GE(rates.next_deadline(), now + bandwidth::tick);
        EXPECT_LE(rates.next_deadline(), now + 2 * bandwidth::tick);
    }
    for (auto& one : all)
        rates.leave(one);
}

TEST(bandwidth, a_small_rest_is_granted_without_waiting_for_more) {
    rate_simulation simulation(limits_of(10'000));
    auto& one = simulation.add("client");
    one.left = 10;
    simulation.run_for(20ms);
    EXPECT_EQ(one.left, 0U);
}

/// A download under a rate, just granted something that it has not asked about.
class granted_download {
  public:
    explicit granted_download(std::uint64_t rate) {
        rates.set_limits(limits_of(rate), now);
        rates.enter(one, 0, "a", 0, now);
        rates.enter(other, 0, "b", 0, now);
        EXPECT_EQ(rates.ask(one, UINT64_MAX, now), 0U);
        now = rates.next_deadline();
        rates.run_due(now, [this](bandwidth::entry& woken) { EXPECT_EQ(&woken, &one); });
    }
    ~granted_download() {
        rates.leave(one);
        rates.leave(other);
    }
    /// All that a download can get now.
    std::uint64_t take_all(bandwidth::entry& by) {
        std::uint64_t got = 0;
        while (const auto may = rates.ask(by, UINT64_MAX, now)) {
            got += may;
            rates.spent(by, may);
        }
        return got;
    }
    clock::time_point now{1h};
    bandwidth rates;
    bandwidth::entry one, other;
};

TEST(bandwidth, downloads_whose_sockets_are_full_hold_nothing_up) {
    rate_simulation simulation(limits_of(1'000'000));
    for (int i = 0; i < 5; ++i) {
        auto& slow = simulation.add("slow" + std::to_string(i));
        slow.socket_rate = 1; // it asks, and takes next to nothing
        slow.room = 0;
    }
    auto& fast = simulation.add("fast");
    simulation.run_for(5s);
    EXPECT_NEAR(rate_of(fast.sent, 5s), 1e6, 5e4);
}

TEST(bandwidth, what_a_full_socket_leaves_goes_back_at_once) {
    granted_download simulated(1'000'000);
    EXPECT_EQ(simulated.take_all(simulated.other), 0U) << "all is granted to the first";
    EXPECT_GE(simulated.rates.ask(simulated.one, UINT64_MAX, simulated.now), 40'000U);
    simulated.rates.spent(simulated.one, 1000);
    EXPECT_LE(simulated.rates.next_deadline(), simulated.now + bandwidth::tick);
    simulated.now = simulated.rates.next_deadline();
    bool woken = false;
    simulated.rates.run_due(simulated.now, [&](bandwidth::entry&) { woken = true; });
    EXPECT_TRUE(woken);
    EXPECT_GE(simulated.take_all(simulated.other), 20'000U);
}

TEST(bandwidth, a_grant_that_is_spent_late_makes_no_longer_burst) {
    granted_download simulated(1'000'000);
    simulated.now += 240ms;
    const std::uint64_t got = simulated.take_all(simulated.one) + simulated.take_all(simulated.other);
    EXPECT_GE(got, 180'000U);
    EXPECT_LE(got, 200'000U);
}

TEST(bandwidth, a_grant_of_a_rate_that_was_lowered_is_void) {
    granted_download simulated(100'000'000);
    simulated.rates.set_fraction(0.001, simulated.now);
    EXPECT_LE(simulated.take_all(simulated.one) + simulated.take_all(simulated.other), 20'000U);
    granted_download again(100'000'000);
    again.rates.set_limits(limits_of(1'000), again.now);
    EXPECT_LE(again.take_all(again.one) + again.take_all(again.other), 200U);
}

TEST(bandwidth, a_grant_that_is_not_used_goes_back_by_itself) {
    granted_download simulated(1'000'000);
    simulated.now += 10s;
    EXPECT_EQ(simulated.rates.busy_clients(simulated.now), 0U);
    const std::uint64_t got = simulated.take_all(simulated.other);
    EXPECT_GE(got, 180'000U);
    EXPECT_LE(got, 200'000U);
}

TEST(bandwidth, a_client_that_goes_and_comes_back_gains_nothing) {
    for (const kind& each : kinds) {
        if (each.own)
            continue;
        auto limits = limits_of(0);
        each.set(limits, 1'000'000);
        rate_simulation simulation(limits);
        for (int i = 0; i < 200; ++i) {
            auto& one = simulation.add("client");
            simulation.run_for(50ms);
            simulation.leave(one);
        }
        EXPECT_LE(rate_of(simulation.sent(), 10s), 1.05e6) << each.name;
        EXPECT_LE(simulation.longest_burst(), most_burst) << each.name;
    }
}

} // namespace
} // namespace dlhandoff::test
