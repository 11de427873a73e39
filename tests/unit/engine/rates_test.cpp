// Rates, the minimum speed and the kernel's memory, on real connections. How exactly rates are kept and
// shared is bandwidth_test's to say; here, that they are asked.
#include "tests/unit/engine/download.hpp"
#include "tests/unit/engine/tls/tls_peers.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using engine::clock;

const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// So that the kernel does not take a whole file for a client that doesn't read.
constexpr std::uint64_t little_memory = 4 * 1024 * 1024;

struct download {
    tcp_pair connection;
    std::string received;
    bool read(std::size_t most = SIZE_MAX) { return read_available(connection.client.get(), received, most); }
};

struct rates_test : testing::Test {
    const sample_file file{1'000'000};
    engine::engine_options options;

    offer make(std::string_view client, const pace& speed = {}, const tls_session* tls = nullptr) const {
        const file_identity identity = file.identity();
        const std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, head.size()},
                                             {plan_piece::source::file, 0, 0, file.content().size()}};
        request_facts facts;
        facts.client = facts.client_key = client;
        auto made = offer::make(facts, {&identity, 1}, pieces, bytes_of(head), tls, {}, speed);
        return std::get<offer>(std::move(made));
    }
    void begin(running_engine& runner, tcp_pair& by, std::string_view client = "192.0.2.1",
               const pace& speed = {}, const tls_session* tls = nullptr) const {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(by.server));
        descriptors.push_back(file.open());
        runner.begin(make(client, speed, tls), std::move(descriptors));
    }
    /// Reads whatever comes to all, for a while.
    static void read_for(running_engine& runner, std::vector<download>& all,
                         std::chrono::milliseconds length) {
        const auto end = clock::now() + length;
        ASSERT_TRUE(runner.run_until([&] {
            for (download& one : all)
                (void)one.read();
            return clock::now() >= end;
        }));
    }
};

/// Not more than the rate allows, a burst of 200 ms included.
void expect_within(std::size_t bytes, std::uint64_t rate, clock::duration time) {
    const std::chrono::duration<double> seconds = time + 200ms;
    EXPECT_LE(static_cast<double>(bytes), static_cast<double>(rate) * seconds.count() * 1.05);
}

TEST_F(rates_test, the_rate_of_all_together_is_kept_and_shared_by_clients) {
    options.limits.all.rate = 400'000;
    running_engine runner(options);
    std::vector<download> all(4);
    const auto began = clock::now();
    for (std::size_t i = 0; i < 3; ++i)
        begin(runner, all[i].connection, "192.0.2.1");
    begin(runner, all[3].connection, "192.0.2.2");
    read_for(runner, all, 500ms);
    const auto time = clock::now() - began;
    std::size_t one_clients = 0;
    for (std::size_t i = 0; i < 3; ++i)
        one_clients += all[i].received.size();
    expect_within(one_clients + all[3].received.size(), 400'000, time);
    // Equal shares, but for what the first one had before the other came.
    EXPECT_GT(all[3].received.size(), one_clients / 2);
    EXPECT_GT(one_clients, all[3].received.size() / 2);
}

TEST_F(rates_test, a_clients_rate_is_kept_over_its_downloads) {
    options.limits.all.client_rate = 200'000;
    running_engine runner(options);
    std::vector<download> all(2);
    const auto began = clock::now();
    for (download& one : all)
        begin(runner, one.connection);
    read_for(runner, all, 500ms);
    expect_within(all[0].received.size() + all[1].received.size(), 200'000, clock::now() - began);
}

TEST_F(rates_test, over_https_a_rate_is_kept_and_every_byte_arrives) {
    options.limits.all.rate = 2'000'000;
    running_engine runner(options);
    tls_peers peers(0x0304, "TLS_AES_128_GCM_SHA256");
    const tls_session session = peers.session();
    const auto began = clock::now();
    begin(runner, peers.connection, "192.0.2.1", {}, &session);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received, 5'000); }));
    EXPECT_TRUE(received == head + file.content());
    expect_within(received.size(), 2'000'000, clock::now() - began);
}

TEST_F(rates_test, a_downloads_own_low_rate_is_kept) {
    running_engine runner;
    std::vector<download> all(1);
    const auto began = clock::now();
    begin(runner, all[0].connection, "192.0.2.1", {100'000, 0});
    ASSERT_TRUE(runner.run_until([&] { return all[0].read(), all[0].received.size() > 50'000; }));
    expect_within(all[0].received.size(), 100'000, clock::now() - began);
}

/// The kernel lets the first ten segments go, which over the loopback are 640 kB: so it is only looked at
/// that it is asked.
TEST_F(rates_test, a_downloads_own_high_rate_is_the_kernels_to_keep) {
    running_engine runner;
    std::vector<download> all(1);
    const auto server = file_descriptor::duplicate_of(all[0].connection.server.get());
    begin(runner, all[0].connection, "192.0.2.1", {600'000, 0});
    ASSERT_TRUE(runner.run_until([&] { return all[0].read(), !all[0].received.empty(); }));
    std::uint64_t rate = 0;
    socklen_t size = sizeof rate;
    ASSERT_EQ(::getsockopt(server.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size), 0);
    EXPECT_EQ(rate, 600'000U);
}

TEST_F(rates_test, what_comes_before_the_rate_comes_at_full_speed) {
    running_engine runner;
    std::vector<download> all(1);
    const auto began = clock::now();
    begin(runner, all[0].connection, "192.0.2.1", {1'000, 800'000});
    ASSERT_TRUE(runner.run_until([&] { return all[0].read(), all[0].received.size() >= 800'000; }));
    read_for(runner, all, 100ms);
    expect_within(all[0].received.size() - 800'000, 1'000, clock::now() - began);
}

TEST_F(rates_test, what_comes_before_the_rate_comes_once_however_often_a_client_asks_again) {
    running_engine runner;
    const pace speed{1'000, 300'000};
    std::size_t received = 0;
    for (int i = 0; i < 8; ++i) {
        std::vector<download> all(1);
        begin(runner, all[0].connection, "192.0.2.1", speed);
        read_for(runner, all, 20ms);
        received += all[0].received.size();
        all[0].connection.client.reset();
        ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    }
    EXPECT_LT(received, 400'000U); // what the rate adds to it
    // Another client has its own.
    std::vector<download> all(1);
    begin(runner, all[0].connection, "192.0.2.2", speed);
    ASSERT_TRUE(runner.run_until([&] { return all[0].read(), all[0].received.size() >= 300'000; }));
}

TEST_F(rates_test, downloads_of_a_file_at_the_same_time_share_what_comes_before_the_rate) {
    running_engine runner;
    std::vector<download> all(4);
    for (download& one : all)
        begin(runner, one.connection, "192.0.2.1", {1'000, 400'000});
    const auto received = [&] {
        std::size_t sum = 0;
        for (download& one : all) {
            (void)one.read();
            sum += one.received.size();
        }
        return sum;
    };
    // Each of them gives up its part of the last 16 kB.
    ASSERT_TRUE(runner.run_until([&] { return received() >= 380'000; }));
    read_for(runner, all, 100ms);
    EXPECT_LT(received(), 500'000U);
}

TEST_F(rates_test, a_rate_set_later_holds_for_those_under_way) {
    options.limits.all.rate = 10'000;
    running_engine runner(options);
    std::vector<download> all(1);
    begin(runner, all[0].connection);
    read_for(runner, all, 100ms);
    EXPECT_LT(all[0].received.size(), 50'000U);
    options.limits.all.rate = 0;
    runner.engine.set_limits(options.limits, 0);
    ASSERT_TRUE(runner.run_until([&] { return !all[0].read(); }));
    EXPECT_TRUE(all[0].received == head + file.content());
}

TEST_F(rates_test, engines_that_share_a_ledger_share_a_rate) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options sharing; // the members go before the table
    sharing.limits.all.rate = 400'000;
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine one(sharing);
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine other(sharing);
    std::vector<download> ones(1);
    std::vector<download> others(1);
    begin(one, ones[0].connection, "192.0.2.1");
    begin(other, others[0].connection, "192.0.2.2");
    const auto run_both = [&](std::chrono::milliseconds length) {
        const auto end = clock::now() + length;
        while (clock::now() < end) {
            read_for(one, ones, 2ms);
            read_for(other, others, 2ms);
        }
    };
    run_both(400ms); // until they know of each other
    const std::size_t before = ones[0].received.size() + others[0].received.size();
    const auto began = clock::now();
    run_both(500ms);
    expect_within(ones[0].received.size() + others[0].received.size() - before, 400'000,
                  clock::now() - began);
    EXPECT_GT(others[0].received.size(), ones[0].received.size() / 2);
    EXPECT_GT(ones[0].received.size(), others[0].received.size() / 2);
}

TEST_F(rates_test, between_engines_a_rate_is_shared_by_the_classes_weights) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options sharing;
    sharing.limits.all.rate = 600'000;
    sharing.limits.classes.push_back({"heavy", {}, 5, 0});
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine one(sharing);
    auto other = *table.join(); // five clients of the class "heavy"
    other.set_demand(5);
    other.set_demand(1, 5);
    std::vector<download> ones(1);
    begin(one, ones[0].connection);
    read_for(one, ones, 400ms); // until they know of each other
    const std::size_t before = ones[0].received.size();
    auto began = clock::now();
    read_for(one, ones, 300ms);
    expect_within(ones[0].received.size() - before, 100'000, clock::now() - began);
    // By clients, it would be the same: but not with fewer of them.
    other.set_demand(1);
    other.set_demand(1, 1);
    read_for(one, ones, 400ms);
    const std::size_t then = ones[0].received.size();
    began = clock::now();
    ASSERT_TRUE(one.run_until([&] { return (void)ones[0].read(), ones[0].received.size() - then > 50'000; }));
    expect_within(ones[0].received.size() - then, 100'000, clock::now() - began);
}

TEST_F(rates_test, what_an_engine_wants_of_a_rate_that_has_gone_does_not_count) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options sharing;
    sharing.limits.all.rate = sharing.limits.classes[0].own.rate = 400'000;
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine one(sharing);
    const auto watcher = table.join();
    std::vector<download> ones(1);
    begin(one, ones[0].connection);
    ASSERT_TRUE(one.run_until([&] { return (void)ones[0].read(), watcher->others(0).demand == 1; }));
    sharing.limits.all.rate = sharing.limits.classes[0].own.rate = 0;
    one.engine.set_limits(sharing.limits, 0);
    ASSERT_TRUE(one.run_until([&] { return watcher->others().demand + watcher->others(0).demand == 0; }));
}

TEST_F(rates_test, an_engine_that_has_become_idle_leaves_the_whole_rate_to_the_others) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options sharing;
    sharing.limits.all.rate = 400'000;
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine one(sharing);
    const auto watcher = table.join();
    std::vector<download> ones(1);
    begin(one, ones[0].connection);
    ASSERT_TRUE(one.run_until([&] { return (void)ones[0].read(), watcher->others().demand == 1; }));
    one.engine.end_all(engine::outcome::cancelled);
    EXPECT_EQ(watcher->others().demand, 1U);
    // Only as its own deadlines ask, with nobody else to wake it.
    const auto end = clock::now() + 10s;
    while (watcher->others().demand != 0 && one.engine.next_deadline() < end) {
        one.loop.run_once(one.engine.next_deadline());
        one.engine.run_turns();
    }
    EXPECT_EQ(watcher->others().demand, 0U);
    EXPECT_EQ(one.engine.next_deadline(), clock::time_point::max());
}

TEST_F(rates_test, a_client_that_is_too_slow_is_dropped_and_one_that_is_not_stays) {
    options.limits.classes[0].own.min_rate = 200'000;
    options.limits.classes[0].own.min_rate_window = 300ms;
    options.tcp_memory = little_memory;
    running_engine runner(options);
    std::vector<download> all(2);
    begin(runner, all[0].connection);
    begin(runner, all[1].connection);
    auto next_read = clock::now();
    ASSERT_TRUE(runner.run_until([&] {
        if (clock::now() >= next_read) {
            next_read = clock::now() + 10ms;
            (void)all[0].read(100);
            (void)all[1].read(20'000);
        }
        return !runner.log_lines().empty();
    }));
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["outcome"], "stalled");
    EXPECT_GE(json::parse(runner.log_lines().at(0))["duration_ms"], 300);
    EXPECT_EQ(runner.engine.active(), 1U);
    ASSERT_TRUE(runner.run_until([&] { return !all[1].read(); }));
    EXPECT_TRUE(all[1].received == head + file.content());
}

TEST_F(rates_test, a_shorter_stall_timeout_holds_for_those_under_way) {
    const sample_file long_file{8'000'000}; // more than the kernel takes
    options.limits.classes[0].own.stall_timeout = 1h;
    running_engine runner(options);
    tcp_pair connection;
    const auto server = file_descriptor::duplicate_of(connection.server.get());
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    descriptors.push_back(long_file.open());
    runner.begin(make_offer(head, long_file), std::move(descriptors));
    const auto began = clock::now();
    ASSERT_TRUE(runner.run_until([&] { return clock::now() >= began + 50ms; }));
    options.limits.classes[0].own.stall_timeout = 300ms;
    runner.engine.set_limits(options.limits, 0);
    unsigned timeout = 0;
    socklen_t size = sizeof timeout;
    ASSERT_EQ(::getsockopt(server.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size), 0);
    EXPECT_EQ(timeout, 300U);
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["outcome"], "stalled");
}

TEST_F(rates_test, a_min_rate_set_later_counts_from_then_on) {
    options.limits.classes[0].own.min_rate_window = 300ms;
    options.tcp_memory = little_memory;
    running_engine runner(options);
    std::vector<download> all(2);
    begin(runner, all[0].connection);
    begin(runner, all[1].connection);
    const auto began = clock::now();
    ASSERT_TRUE(runner.run_until([&] { return clock::now() >= began + 400ms; }));
    options.limits.classes[0].own.min_rate = 100'000;
    runner.engine.set_limits(options.limits, options.tcp_memory);
    auto next_read = clock::now();
    ASSERT_TRUE(runner.run_until([&] {
        if (clock::now() >= next_read) {
            next_read = clock::now() + 10ms;
            (void)all[1].read(20'000);
        }
        return !runner.log_lines().empty();
    }));
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["outcome"], "stalled");
    EXPECT_GE(json::parse(runner.log_lines().at(0))["duration_ms"], 700);
    EXPECT_EQ(runner.engine.active(), 1U);
}

TEST_F(rates_test, nobody_is_too_slow_for_a_rate_that_we_keep) {
    options.limits.classes[0].own.min_rate = 1'000'000;
    options.limits.classes[0].own.min_rate_window = 100ms;
    options.limits.all.rate = 500'000;
    running_engine runner(options);
    std::vector<download> all(1);
    begin(runner, all[0].connection);
    ASSERT_TRUE(runner.run_until([&] { return !all[0].read(); }));
    EXPECT_TRUE(all[0].received == head + file.content());
}

TEST_F(rates_test, nobody_is_too_slow_for_a_rate_that_the_kernel_keeps) {
    const sample_file long_file{8'000'000};
    options.limits.classes[0].own.min_rate = 100'000'000;
    options.limits.classes[0].own.min_rate_window = 200ms;
    running_engine runner(options);
    const file_identity identity = long_file.identity();
    const std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, head.size()},
                                         {plan_piece::source::file, 0, 0, long_file.content().size()}};
    std::vector<download> all(1);
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(all[0].connection.server));
    descriptors.push_back(long_file.open());
    runner.begin(std::get<offer>(offer::make({}, {&identity, 1}, pieces, bytes_of(head), nullptr, {},
                                             pace{1'000'000, 0})),
                 std::move(descriptors));
    read_for(runner, all, 500ms);
    EXPECT_EQ(runner.engine.active(), 1U);
    EXPECT_TRUE(runner.log_lines().empty());
}

TEST_F(rates_test, a_client_that_goes_while_its_download_waits_for_a_rate_frees_its_place_at_once) {
    options.limits.all.rate = 1'000;
    running_engine runner(options);
    std::vector<download> all(2);
    for (download& one : all)
        begin(runner, one.connection);
    read_for(runner, all, 50ms);
    const ::linger reset{1, 0};
    ASSERT_EQ(::setsockopt(all[0].connection.client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    all[0].connection.client.reset();
    // Without the engine's turns, in which a rate would come to it: the reset alone ends it.
    const auto limit = clock::now() + 10s;
    while (runner.engine.active() == 2 && clock::now() < limit)
        runner.loop.run_once(clock::now() + 2ms);
    EXPECT_EQ(runner.engine.active(), 1U);
    runner.engine.run_turns(); // writes the log
    ASSERT_EQ(runner.log_lines().size(), 1U);
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["outcome"], "client-closed");
}

int low_water_of(const file_descriptor& socket) {
    int bytes = -1;
    socklen_t size = sizeof bytes;
    EXPECT_EQ(::getsockopt(socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &size), 0);
    return bytes;
}

TEST_F(rates_test, the_more_downloads_the_less_the_kernel_holds_for_each) {
    running_engine runner(options);
    runner.engine.set_limits(options.limits, 1024 * 1024);
    std::vector<download> all(40);
    std::vector<file_descriptor> watched;
    for (download& one : all) {
        watched.push_back(file_descriptor::duplicate_of(one.connection.server.get()));
        begin(runner, one.connection);
    }
    // Set when the client is first waited for.
    ASSERT_TRUE(runner.run_until([&] { return low_water_of(watched.back()) == 16 * 1024; }));
    EXPECT_EQ(low_water_of(watched.front()), 64 * 1024);
    // All of their clients are slow: the first ones fall back too, and nobody waits for ever.
    ASSERT_TRUE(runner.run_until([&] {
        for (download& one : all)
            (void)one.read(2'000);
        return low_water_of(watched.front()) == 16 * 1024;
    }));
    EXPECT_GT(runner.engine.memory().used(), 0U);
    std::size_t done = 0;
    ASSERT_TRUE(runner.run_until([&] {
        done = 0;
        for (download& one : all)
            done += one.read() ? 0U : 1U;
        return done == all.size();
    }));
    for (const download& one : all)
        EXPECT_TRUE(one.received == head + file.content());
    for (download& one : all)
        one.connection.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(runner.engine.memory().used(), 0U);
}

TEST_F(rates_test, engines_of_one_ledger_have_the_kernels_memory_together) {
    const engine::ledger table = engine::ledger::create(3);
    engine::engine_options sharing; // the member goes before the table
    sharing.tcp_memory = 64 * 1024 * 1024;
    sharing.ledger = &table;
    sharing.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine runner(sharing);
    auto other = table.join();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.memory().budget() == 32U * 1024 * 1024; }));
    other.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.memory().budget() == 64U * 1024 * 1024; }));
}

} // namespace
} // namespace dlhandoff::test
