// Downloads that wait for their turn, as their clients see it.
#include "tests/unit/engine/client/return_listener.hpp"
#include "tests/unit/engine/download.hpp"
#include "tests/unit/engine/tls/tls_peers.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const std::string head = "HTTP/1.1 200 OK\r\nServer: Apache\r\nConnection: close\r\n\r\n";
const std::string staying_head = "HTTP/1.1 200 OK\r\nServer: Apache\r\nConnection: Keep-Alive\r\n\r\n";

struct wish {
    std::string client = "192.0.2.1";
    std::string transfer_class{};
    std::string head = test::head;
    return_terms back{};
    const tls_session* tls = nullptr;
    std::string uri = "/sample";
};

offer make(const sample_file& file, const wish& of) {
    const file_identity identity = file.identity();
    const std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, of.head.size()},
                                         {plan_piece::source::file, 0, 0, file.content().size()}};
    request_facts facts;
    facts.method = "GET";
    facts.uri = of.uri;
    facts.client = facts.client_key = of.client;
    facts.transfer_class = of.transfer_class;
    auto made = offer::make(facts, {&identity, 1}, pieces, bytes_of(of.head), of.tls, of.back);
    return std::get<offer>(std::move(made));
}

engine::engine_options one_at_a_time(std::chrono::milliseconds queue_timeout = 30s) {
    engine::engine_options options;
    options.limits.all.transfers = 1;
    options.limits.classes[0].own.queue_timeout = queue_timeout;
    return options;
}

struct queue_test : testing::Test {
    const sample_file file{3'000'000};
    tcp_pair first;
    tcp_pair second;
    std::string received; ///< by the second

    std::vector<file_descriptor> descriptors(tcp_pair& of) const {
        std::vector<file_descriptor> made;
        made.push_back(std::move(of.server));
        made.push_back(file.open());
        return made;
    }
    void begin(running_engine& runner, tcp_pair& by, const wish& of = {}) const {
        runner.begin(make(file, of), descriptors(by));
    }
    /// Lets the loop run for a while in which nothing is to happen.
    static void let_run(running_engine& runner, std::chrono::milliseconds length = 50ms) {
        const auto end = engine::clock::now() + length;
        ASSERT_TRUE(runner.run_until([&] { return engine::clock::now() >= end; }));
    }
    [[nodiscard]] static json line_of(running_engine& runner, std::size_t index) {
        const auto lines = runner.log_lines();
        return index < lines.size() ? json::parse(lines[index]) : json::object();
    }
    void expect_silence(const tcp_pair& of) const {
        char byte;
        EXPECT_EQ(::recv(of.client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
        EXPECT_EQ(errno, EAGAIN);
    }
    /// Reads both to their ends.
    bool finish_both(running_engine& runner) {
        std::string other;
        bool first_done = false;
        bool second_done = false;
        const bool done = runner.run_until([&] {
            if (!first_done && !read_available(first.client.get(), other)) {
                first_done = true;
                first.client.reset();
            }
            if (!second_done && !read_available(second.client.get(), received)) {
                second_done = true;
                second.client.reset();
            }
            return first_done && second_done && runner.engine.active() == 0;
        });
        EXPECT_TRUE(other == head + file.content());
        return done;
    }
};

TEST_F(queue_test, one_above_the_limit_waits_in_silence_and_then_has_every_byte) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second);
    let_run(runner);
    EXPECT_EQ(runner.engine.active(), 2U);
    EXPECT_EQ(runner.engine.queued(), 1U);
    expect_silence(second);
    ASSERT_TRUE(finish_both(runner));
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(line_of(runner, 0)["queued_ms"], 0);
    EXPECT_GE(line_of(runner, 1)["queued_ms"], 50);
    EXPECT_GE(line_of(runner, 1)["duration_ms"], line_of(runner, 1)["queued_ms"]);
    EXPECT_EQ(line_of(runner, 1)["outcome"], "complete");
}

TEST_F(queue_test, thousands_of_connections_wait_and_are_sent_in_turns) {
    rlimit descriptors_of_this{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors_of_this), 0);
    // Both ends are here.
    const std::size_t clients = 90;
    const std::size_t each = std::min<std::size_t>(100, (descriptors_of_this.rlim_cur - 200) / 2 / clients);
    ASSERT_GE(each, 2U) << "too few descriptors for a queue";
    running_engine runner(one_at_a_time(10min));
    begin(runner, first);
    const sample_file small(1'000);
    std::vector<tcp_pair> waiting(clients * each);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        std::vector<file_descriptor> some;
        some.push_back(std::move(waiting[i].server));
        some.push_back(small.open());
        runner.begin(make(small, {.client = "client " + std::to_string(i / each), .uri = std::to_string(i)}),
                     std::move(some));
    }
    EXPECT_EQ(runner.engine.queued(), waiting.size());
    first.client.reset();
    // Each of a client's goes behind those that the others have waiting.
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }, 2min));
    const auto lines = runner.log_lines();
    ASSERT_EQ(lines.size(), waiting.size() + 1);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        const json line = json::parse(lines[i + 1]);
        ASSERT_EQ(line["uri"], std::to_string(i % clients * each + i / clients)) << i;
        ASSERT_EQ(line["outcome"], "complete");
    }
    for (const tcp_pair& one : waiting) {
        std::string all;
        while (read_available(one.client.get(), all)) {
        }
        ASSERT_EQ(all, head + small.content());
    }
}

TEST_F(queue_test, whom_no_turn_comes_for_is_told_so) {
    running_engine runner(one_at_a_time(60ms));
    begin(runner, first);
    begin(runner, second);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(second.client.get(), received); }));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << received;
    EXPECT_NE(received.find("\r\nRetry-After: 1\r\n"), received.npos) << received;
    EXPECT_NE(received.find("\r\nConnection: close\r\n"), received.npos) << received;
    EXPECT_NE(received.find("\r\nServer: Apache\r\n"), received.npos) << received;
    second.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 1; }));
    const json line = line_of(runner, 0);
    EXPECT_EQ(line["outcome"], "queue-timeout");
    EXPECT_EQ(line["status"], 503);
    EXPECT_EQ(line["file_bytes"], 0);
    EXPECT_EQ(line["expected"], received.size());
    EXPECT_EQ(line["delivered"], received.size());
    EXPECT_GE(line["queued_ms"], 60);
    // The first one goes on as if nothing had been.
    received.clear();
    ASSERT_TRUE(runner.run_until([&] { return !read_available(first.client.get(), received); }));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, the_connection_of_one_turned_away_goes_on_as_promised) {
    const return_listener httpd;
    running_engine runner(one_at_a_time(20ms));
    begin(runner, first);
    begin(runner, second, {.head = staying_head, .back = {httpd.path(), 5000, 1}});
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.idle() == 1; }));
    ASSERT_TRUE(read_available(second.client.get(), received));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 ")) << received;
    EXPECT_NE(received.find("\r\nConnection: Keep-Alive\r\n"), received.npos) << received;
    ASSERT_EQ(::send(second.client.get(), "GET /", 5, 0), 5);
    std::optional<return_listener::returned> returned;
    ASSERT_TRUE(runner.run_until([&] { return (returned = httpd.accept()).has_value(); }));
    EXPECT_EQ(returned->said.requests, 1U);
    unsigned timeout = 1;
    socklen_t size = sizeof timeout;
    ASSERT_EQ(::getsockopt(returned->client.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size), 0);
    EXPECT_EQ(timeout, 0U); // the system's own
}

TEST_F(queue_test, over_https_it_is_told_so_too) {
    running_engine runner(one_at_a_time(20ms));
    begin(runner, first);
    tls_peers peers(0x0304, "TLS_AES_256_GCM_SHA384");
    const tls_session session = peers.session();
    runner.begin(make(file, {.tls = &session}), descriptors(peers.connection));
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 ")) << received;
    EXPECT_TRUE(received.ends_with("later.\n")) << received;
    peers.connection.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 1; }));
    EXPECT_EQ(line_of(runner, 0)["outcome"], "queue-timeout");
}

TEST_F(queue_test, an_https_download_that_has_waited_has_every_byte) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    tls_peers peers(0x0304, "TLS_AES_256_GCM_SHA384");
    const tls_session session = peers.session();
    runner.begin(make(file, {.tls = &session}), descriptors(peers.connection));
    let_run(runner);
    EXPECT_EQ(runner.engine.queued(), 1U);
    first.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, a_client_that_resets_frees_its_place_at_once) {
    engine::engine_options options = one_at_a_time();
    options.limits.all.queue = 1;
    running_engine runner(options);
    begin(runner, first);
    begin(runner, second);
    tcp_pair third;
    auto refused = runner.engine.prepare(make(file, {}), descriptors(third));
    ASSERT_TRUE(std::holds_alternative<refusal>(refused));
    EXPECT_EQ(std::get<refusal>(refused), refusal::full);

    const ::linger reset{1, 0};
    ASSERT_EQ(::setsockopt(second.client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    second.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.queued() == 0; }));
    const json line = line_of(runner, 0);
    EXPECT_EQ(line["outcome"], "client-closed");
    EXPECT_EQ(line["sent"], 0);
    EXPECT_EQ(line["delivered"], 0);
    EXPECT_EQ(line["queued_ms"], line["duration_ms"]);
    tcp_pair fourth;
    begin(runner, fourth);
    EXPECT_EQ(runner.engine.queued(), 1U);
}

// RFC 9112, 9.6: a connection's two directions end one by one. TLS says the same of close_notify (RFC 8446,
// 6.1).

TEST_F(queue_test, a_client_that_closes_its_sending_side_while_it_waits_has_every_byte) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second);
    ASSERT_EQ(::shutdown(second.client.get(), SHUT_WR), 0);
    let_run(runner);
    EXPECT_EQ(runner.engine.queued(), 1U);
    ASSERT_TRUE(finish_both(runner));
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(line_of(runner, 1)["outcome"], "complete");
}

TEST_F(queue_test, so_has_one_that_was_promised_that_its_connection_goes_on) {
    const return_listener httpd;
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second, {.head = staying_head, .back = {httpd.path(), 5000, 1}});
    ASSERT_EQ(::shutdown(second.client.get(), SHUT_WR), 0);
    let_run(runner);
    ASSERT_TRUE(finish_both(runner)); // and an end of file: there is nothing to go back for
    EXPECT_TRUE(received == staying_head + file.content());
    EXPECT_EQ(line_of(runner, 1)["outcome"], "complete");
    EXPECT_EQ(runner.engine.idle(), 0U);
    EXPECT_FALSE(httpd.accept().has_value());
}

TEST_F(queue_test, one_that_closes_its_sending_side_is_told_that_no_turn_has_come) {
    running_engine runner(one_at_a_time(60ms));
    begin(runner, first);
    begin(runner, second);
    ASSERT_EQ(::shutdown(second.client.get(), SHUT_WR), 0);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(second.client.get(), received); }));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << received;
    EXPECT_TRUE(received.ends_with("later.\n")) << received;
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 1; }));
    EXPECT_EQ(line_of(runner, 0)["outcome"], "queue-timeout");
}

TEST_F(queue_test, one_that_is_gone_is_found_out_when_its_turn_comes) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second);
    second.client.reset(); // a FIN: it looks like one that only says no more
    let_run(runner);
    EXPECT_EQ(runner.engine.queued(), 1U);
    tcp_pair third;
    begin(runner, third);
    first.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.log_lines().size() == 2; }));
    EXPECT_EQ(line_of(runner, 1)["outcome"], "client-closed");
    EXPECT_EQ(line_of(runner, 1)["delivered"], 0);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(third.client.get(), received); }));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, one_that_is_gone_keeps_its_place_no_longer_than_the_queue_timeout) {
    running_engine runner(one_at_a_time(60ms));
    begin(runner, first);
    begin(runner, second);
    second.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 1; }));
    EXPECT_EQ(line_of(runner, 0)["outcome"], "queue-timeout");
    EXPECT_EQ(line_of(runner, 0)["status"], 503);
}

struct queue_over_https : queue_test, testing::WithParamInterface<std::pair<int, const char*>> {
    tls_peers peers{GetParam().first, GetParam().second};
    const tls_session session = peers.session();

    void begin_waiting(running_engine& runner) {
        begin(runner, first);
        runner.begin(make(file, {.tls = &session}), descriptors(peers.connection));
    }
};
INSTANTIATE_TEST_SUITE_P(versions, queue_over_https,
                         testing::Values(std::pair(0x0303, "ECDHE-RSA-AES128-GCM-SHA256"),
                                         std::pair(0x0304, "TLS_AES_128_GCM_SHA256")),
                         [](const auto& of) { return of.param.first == 0x0303 ? "tls12" : "tls13"; });

TEST_P(queue_over_https, a_client_that_says_close_notify_while_it_waits_has_every_byte) {
    running_engine runner(one_at_a_time());
    begin_waiting(runner);
    ASSERT_EQ(::SSL_shutdown(peers.client()), 0); // ours alone: close_notify
    ASSERT_EQ(::shutdown(peers.connection.client.get(), SHUT_WR), 0);
    let_run(runner);
    EXPECT_EQ(runner.engine.queued(), 1U);
    first.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received == head + file.content());
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(line_of(runner, 1)["outcome"], "complete");
}

TEST_P(queue_over_https, one_that_says_close_notify_is_told_that_no_turn_has_come) {
    running_engine runner(one_at_a_time(60ms));
    begin_waiting(runner);
    ASSERT_EQ(::SSL_shutdown(peers.client()), 0);
    ASSERT_EQ(::shutdown(peers.connection.client.get(), SHUT_WR), 0);
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 ")) << received;
    EXPECT_TRUE(received.ends_with("later.\n")) << received;
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 1; }));
    EXPECT_EQ(line_of(runner, 0)["outcome"], "queue-timeout");
}

TEST_F(queue_test, a_raised_limit_lets_those_start_that_wait) {
    engine::engine_options options = one_at_a_time();
    running_engine runner(options);
    begin(runner, first);
    begin(runner, second);
    ASSERT_EQ(runner.engine.queued(), 1U);
    options.limits.all.transfers = 2;
    runner.engine.set_limits(options.limits, 0);
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.queued() == 0; }));
    ASSERT_TRUE(finish_both(runner));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, a_class_has_its_own_limits_and_its_name_in_the_log) {
    engine::engine_options options;
    options.limits.classes.push_back({"bulk", {.transfers = 1}, 1, 0});
    running_engine runner(options);
    begin(runner, first, {.transfer_class = "bulk"});
    begin(runner, second, {.client = "192.0.2.2", .transfer_class = "bulk"});
    tcp_pair third;
    begin(runner, third, {.transfer_class = "nobody's"});
    EXPECT_EQ(runner.engine.queued(), 1U);
    third.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 2; }));
    EXPECT_EQ(line_of(runner, 0)["class"], "default");
    ASSERT_TRUE(finish_both(runner));
    EXPECT_EQ(line_of(runner, 1)["class"], "bulk");
}

TEST_F(queue_test, a_stop_lets_those_that_wait_have_their_turn) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second);
    runner.engine.stop_accepting();
    ASSERT_TRUE(finish_both(runner));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, an_end_at_once_ends_those_that_wait) {
    running_engine runner(one_at_a_time());
    begin(runner, first);
    begin(runner, second);
    runner.engine.end_all(engine::outcome::shutdown);
    EXPECT_EQ(runner.engine.active(), 0U);
    EXPECT_EQ(runner.engine.queued(), 0U);
    EXPECT_EQ(runner.log_lines().size(), 2U);
    char byte;
    EXPECT_LE(::recv(second.client.get(), &byte, 1, 0), 0);
}

TEST_F(queue_test, engines_that_share_a_ledger_share_the_limit) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options options = one_at_a_time();
    options.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine one(options);
    options.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine other(options);
    begin(one, first);
    begin(other, second);
    let_run(other);
    EXPECT_EQ(other.engine.queued(), 1U);
    first.client.reset();
    ASSERT_TRUE(one.run_until([&] { return one.engine.active() == 0; }));
    ASSERT_TRUE(other.run_until([&] { return !read_available(second.client.get(), received); }));
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(queue_test, where_nobody_may_wait_a_killed_engines_places_come_back_too) {
    const engine::ledger table = engine::ledger::create(2);
    engine::engine_options options = one_at_a_time();
    options.limits.all.queue = 0;
    options.ledger = &table;
    options.member = std::make_shared<engine::ledger_member>(*table.join());
    running_engine runner(options);
    const pid_t killed = ::fork();
    ASSERT_GE(killed, 0);
    if (killed == 0) {
        auto member = table.join();
        member->add_active(0, 1);
        ::_exit(0); // it never leaves
    }
    int status = 0;
    ASSERT_EQ(::waitpid(killed, &status, 0), killed);
    ASSERT_EQ(options.member->others().active, 1U);
    begin(runner, first);
    EXPECT_EQ(options.member->others().active, 0U);
    EXPECT_EQ(runner.engine.queued(), 0U);
}

TEST_F(queue_test, a_shorter_queue_timeout_holds_for_those_that_wait) {
    engine::engine_options options = one_at_a_time(1h);
    running_engine runner(options);
    begin(runner, first);
    begin(runner, second);
    let_run(runner);
    expect_silence(second);
    options.limits.classes[0].own.queue_timeout = 60ms;
    runner.engine.set_limits(options.limits, 0);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(second.client.get(), received); }));
    EXPECT_TRUE(received.starts_with("HTTP/1.1 503 ")) << received;
}

TEST_F(queue_test, a_longer_queue_timeout_holds_for_those_that_wait) {
    engine::engine_options options = one_at_a_time(60ms);
    running_engine runner(options);
    begin(runner, first);
    begin(runner, second);
    options.limits.classes[0].own.queue_timeout = 1h;
    runner.engine.set_limits(options.limits, 0);
    let_run(runner, 100ms);
    EXPECT_EQ(runner.engine.queued(), 1U);
    ASSERT_TRUE(finish_both(runner));
    EXPECT_TRUE(received == head + file.content());
}

} // namespace
} // namespace dlhandoff::test
