#include "tests/unit/engine/limits/rate_simulation.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

/// Expects a rate of `bytes` in `time` within a tenth.
void expect_rate(std::uint64_t bytes, clock::duration time, double rate, const std::string& whose) {
    const double got = static_cast<double>(bytes) / std::chrono::duration<double>(time).count();
    EXPECT_NEAR(got, rate, 0.1 * rate) << whose;
}

// ---- who gets what

TEST(bandwidth_fairness, a_client_with_100_downloads_gets_no_more_than_ten_with_one_each) {
    for (const std::uint64_t rate : {1'000'000ULL, 10'000'000ULL, 125'000'000ULL, 1'250'000'000ULL})
        for (const auto round : {0ms, 20ms}) {
            rate_simulation simulation(limits_of(rate));
            simulation.set_round(round);
            simulation.set_lateness(20ms);
            for (int i = 0; i < 100; ++i)
                simulation.add("greedy");
            for (int i = 0; i < 10; ++i)
                simulation.add("modest" + std::to_string(i));
            simulation.run_for(2s);
            simulation.reset_counts();
            simulation.run_for(20s);
            const double each = static_cast<double>(rate) / 11;
            expect_rate(simulation.sent_by_client("greedy"), 20s, each, "greedy at " + std::to_string(rate));
            for (int i = 0; i < 10; ++i)
                expect_rate(simulation.sent_by_client("modest" + std::to_string(i)), 20s, each,
                            "modest at " + std::to_string(rate));
            EXPECT_LE(simulation.longest_burst(), most_burst) << rate;
        }
}

TEST(bandwidth_fairness, a_client_s_downloads_share_equally) {
    rate_simulation simulation(limits_of(0, 3'000'000));
    for (int i = 0; i < 7; ++i)
        simulation.add("client");
    simulation.run_for(10s);
    for (const auto& one : simulation.downloads)
        expect_rate(one->sent, 10s, 3e6 / 7, "one of seven");
}

TEST(bandwidth_fairness, classes_share_by_weight_however_many_their_clients_are) {
    auto limits = limits_of(8'000'000, 0, 2);
    limits.classes[0].weight = 3;
    rate_simulation simulation(limits);
    simulation.set_lateness(20ms);
    simulation.add("alone", 0);
    for (int i = 0; i < 30; ++i)
        simulation.add("many" + std::to_string(i), 1);
    simulation.run_for(10s);
    expect_rate(simulation.sent_in_class(0), 10s, 6e6, "weight 3");
    expect_rate(simulation.sent_in_class(1), 10s, 2e6, "weight 1");
}

TEST(bandwidth_fairness, what_slow_clients_leave_goes_to_the_fast_equally) {
    rate_simulation simulation(limits_of(10'000'000));
    simulation.set_lateness(20ms);
    for (int i = 0; i < 4; ++i)
        simulation.add("slow" + std::to_string(i)).socket_rate = 500e3;
    for (int i = 0; i < 4; ++i)
        simulation.add("fast" + std::to_string(i));
    simulation.run_for(2s);
    simulation.reset_counts();
    simulation.run_for(10s);
    for (int i = 0; i < 4; ++i) {
        expect_rate(simulation.sent_by_client("slow" + std::to_string(i)), 10s, 500e3, "slow");
        expect_rate(simulation.sent_by_client("fast" + std::to_string(i)), 10s, 2e6, "fast");
    }
}

TEST(bandwidth_fairness, what_a_client_at_its_own_rate_leaves_goes_to_the_others) {
    auto limits = limits_of(9'000'000, 1'000'000);
    rate_simulation simulation(limits);
    for (int i = 0; i < 3; ++i)
        for (int download = 0; download < 5; ++download)
            simulation.add("client" + std::to_string(i));
    simulation.run_for(10s);
    for (int i = 0; i < 3; ++i)
        expect_rate(simulation.sent_by_client("client" + std::to_string(i)), 10s, 1e6, "client at its rate");

    limits = limits_of(6'000'000, 0);
    rate_simulation own(limits);
    own.add("bounded", 0, 500'000);
    own.add("free");
    own.run_for(10s);
    expect_rate(own.sent_by_client("bounded"), 10s, 0.5e6, "download at its own rate");
    expect_rate(own.sent_by_client("free"), 10s, 5.5e6, "the other");
}

TEST(bandwidth_fairness, what_a_class_at_its_rate_leaves_goes_to_the_others) {
    auto limits = limits_of(10'000'000, 0, 3);
    limits.classes[0].weight = 8;
    limits.classes[0].own.rate = 1'000'000;
    rate_simulation simulation(limits);
    for (std::size_t each = 0; each < 3; ++each)
        for (int i = 0; i < 4; ++i)
            simulation.add("client" + std::to_string(i), each);
    simulation.run_for(10s);
    expect_rate(simulation.sent_in_class(0), 10s, 1e6, "class at its rate");
    expect_rate(simulation.sent_in_class(1), 10s, 4.5e6, "other class");
    expect_rate(simulation.sent_in_class(2), 10s, 4.5e6, "other class");
}

TEST(bandwidth_fairness, a_client_in_two_classes_gets_its_rate_in_both) {
    // One class is busy with others, whose traffic must not count for the client's share in it.
    auto limits = limits_of(0, 1'000'000, 2);
    rate_simulation simulation(limits);
    auto& first = simulation.add("client", 0);
    auto& second = simulation.add("client", 1);
    for (int i = 0; i < 50; ++i)
        simulation.add("other" + std::to_string(i), 0);
    simulation.run_for(10s);
    expect_rate(first.sent, 10s, 0.5e6, "in the busy class");
    expect_rate(second.sent, 10s, 0.5e6, "in the quiet class");
}

TEST(bandwidth_fairness, a_client_held_up_in_one_class_uses_its_rate_in_another) {
    auto limits = limits_of(0, 1'000'000, 4);
    for (std::size_t each = 1; each < 4; ++each)
        limits.classes[each].own.rate = 20'000;
    rate_simulation simulation(limits);
    for (std::size_t each = 1; each < 4; ++each)
        for (int i = 0; i < 2; ++i) {
            simulation.add("client", each);
            simulation.add("other", each);
        }
    auto& free = simulation.add("client", 0);
    simulation.run_for(10s);
    expect_rate(free.sent, 10s, 1e6 - 3 * 10e3, "in the class without a rate");
    for (std::size_t each = 1; each < 4; ++each)
        expect_rate(simulation.sent_in_class(each), 10s, 20e3, "slow class");
}

TEST(bandwidth_fairness, who_was_away_is_owed_nothing_and_who_comes_gets_its_share_at_once) {
    rate_simulation simulation(limits_of(4'000'000));
    auto& old = simulation.add("old");
    auto& away = simulation.add("away");
    away.socket_rate = 1;
    simulation.run_for(10s);
    away.socket_rate = 0;
    away.blocked_until = simulation.now();
    simulation.reset_counts();
    simulation.run_for(2s);
    expect_rate(old.sent, 2s, 2e6, "old");
    expect_rate(away.sent, 2s, 2e6, "away");
    simulation.reset_counts();
    auto& late = simulation.add("new");
    simulation.run_for(2s);
    expect_rate(late.sent, 2s, 4e6 / 3, "new");
    expect_rate(old.sent, 2s, 4e6 / 3, "old");
}

TEST(bandwidth_fairness, nobody_among_1000_waits_much_longer_than_its_share_takes) {
    rate_simulation simulation(limits_of(10'000'000));
    simulation.set_lateness(20ms);
    for (int i = 0; i < 1000; ++i)
        simulation.add("client" + std::to_string(i % 500));
    simulation.run_for(5s);
    simulation.reset_counts();
    simulation.run_for(10s);
    for (const auto& one : simulation.downloads) {
        expect_rate(one->sent, 10s, 10'000, "one of 1,000");
        EXPECT_LE(one->longest_wait, 1500ms);
    }
}

// ---- a rate that other engines use too

TEST(bandwidth_fractions, bound_all_together_a_class_and_a_client) {
    std::map<std::string, int> asked;
    auto limits = limits_of(10'000'000, 2'000'000, 2);
    limits.classes[1].own.client_rate = 1'000'000;
    limits.classes[1].own.rate = 3'000'000;
    double for_halved = 0.5;
    rate_simulation simulation(limits, [&](std::string_view key, std::optional<std::size_t> class_index) {
        ++asked[std::string(key) + (class_index ? std::to_string(*class_index) : "")];
        return key == "halved" ? for_halved : 1.0;
    });
    simulation.add("halved", 0);
    simulation.add("whole", 0);
    simulation.add("halved", 1);
    simulation.run_for(10s);
    expect_rate(simulation.sent_by_client("halved"), 10s, 1e6, "half of 2 MB/s");
    expect_rate(simulation.sent_in_class(1), 10s, 0.5e6, "half of 1 MB/s in the class");
    expect_rate(simulation.sent_by_client("whole"), 10s, 2e6, "all of 2 MB/s");
    EXPECT_LE(asked["halved"], 102);
    EXPECT_LE(asked["halved1"], 102);
    EXPECT_GE(asked["halved"], 50);
    EXPECT_EQ(asked["halved0"], 0) << "there is no such rate";

    for_halved = 0; // not "no rate", nor for ever
    simulation.run_for(1s);
    simulation.reset_counts();
    simulation.run_for(5s);
    EXPECT_LE(simulation.sent_by_client("halved"), 20U);
    for_halved = 0.25;
    simulation.run_for(200ms);
    simulation.reset_counts();
    simulation.run_for(10s);
    expect_rate(simulation.sent_by_client("halved"), 10s, 0.5e6, "a quarter of 2 MB/s");
    EXPECT_LE(simulation.longest_burst(), most_burst);

    simulation.rates().set_fraction(0.1, simulation.now());
    simulation.run_for(1s);
    simulation.reset_counts();
    simulation.run_for(10s);
    expect_rate(simulation.sent(), 10s, 1e6, "a tenth of 10 MB/s");
    simulation.rates().set_fraction(1, simulation.now());
    simulation.rates().set_class_fraction(1, 0.1, simulation.now());
    for_halved = 1;
    simulation.run_for(1s);
    simulation.reset_counts();
    simulation.run_for(10s);
    expect_rate(simulation.sent_in_class(1), 10s, 0.3e6, "a tenth of 3 MB/s");
}

TEST(bandwidth_fractions, that_become_smaller_leave_no_longer_burst) {
    rate_simulation simulation(limits_of(100'000'000));
    for (int i = 0; i < 3; ++i)
        simulation.add("client" + std::to_string(i));
    simulation.run_for(1s);
    rate_watch watch;
    simulation.rates().set_fraction(0.001, simulation.now());
    watch.set_rate(100'000, simulation.now());
    for (int i = 0; i < 500; ++i) {
        simulation.reset_counts();
        simulation.run_for(1ms);
        watch.spent(simulation.sent(), simulation.now());
    }
    EXPECT_LE(watch.longest_burst(), most_burst + 0.002); // of the two milliseconds between looks
}

TEST(bandwidth_fractions, that_become_larger_count_at_once) {
    auto limits = limits_of(0, 0, 2);
    limits.classes[1].own.rate = 1'000'000;
    limits.classes[0].own.rate = 1'000'000;
    for (const bool of_class : {false, true}) {
        rate_simulation simulation(of_class ? limits : limits_of(1'000'000));
        auto& one = simulation.add("client");
        const auto set = [&](double fraction) {
            if (of_class)
                simulation.rates().set_class_fraction(0, fraction, simulation.now());
            else
                simulation.rates().set_fraction(fraction, simulation.now());
            simulation.reset_counts();
        };
        set(1e-9); // one byte a second
        simulation.run_for(2300ms);
        EXPECT_LE(one.sent, 3U);
        set(1);
        simulation.run_for(300ms);
        EXPECT_GE(one.sent, 200'000U);
    }
}

TEST(bandwidth_busy, counts_those_that_ask_or_have_asked_lately) {
    auto limits = limits_of(1'000'000, 0, 2);
    rate_simulation simulation(limits);
    bandwidth& rates = simulation.rates();
    for (int i = 0; i < 6; ++i)
        simulation.add("a", 0);
    simulation.add("a", 1);
    simulation.add("b", 1).socket_rate = 1;
    simulation.add("c", 1).left = 100;
    simulation.run_for(5s);
    EXPECT_EQ(rates.busy_clients(simulation.now()), 1U) << "b is blocked, c is done";
    EXPECT_EQ(rates.busy_clients(0, simulation.now()), 1U);
    EXPECT_EQ(rates.busy_clients(1, simulation.now()), 1U);
    EXPECT_EQ(rates.busy_downloads("a", simulation.now()), 7U);
    EXPECT_EQ(rates.busy_downloads("b", simulation.now()), 0U);
    EXPECT_EQ(rates.busy_downloads("nobody", simulation.now()), 0U);
    auto& d = simulation.add("d", 1);
    simulation.run_for(100ms);
    EXPECT_EQ(rates.busy_clients(simulation.now()), 2U);
    EXPECT_EQ(rates.busy_clients(1, simulation.now()), 2U);
    simulation.leave(d);
    EXPECT_EQ(rates.busy_clients(1, simulation.now()), 1U);
}

} // namespace
} // namespace dlhandoff::test
