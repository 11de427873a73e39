#include "engine/engine.hpp"

#include "tests/unit/engine/download.hpp"

#include "engine/transfer.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::clock;
using nlohmann::json;

std::size_t open_descriptors() {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

struct engine_test : testing::Test {
    /// A new client's offer; the client's end stays in `clients`.
    [[nodiscard]] std::vector<file_descriptor> connect() {
        tcp_pair connection;
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
        clients.push_back(std::move(connection.client));
        return descriptors;
    }
    [[nodiscard]] auto prepare(running_engine& runner) {
        return runner.engine.prepare(make_offer("head", file), connect());
    }
    void begin(running_engine& runner) { runner.begin(make_offer("head", file), connect()); }

    /// All clients read until their end, and close.
    void let_all_end(running_engine& runner) {
        ASSERT_TRUE(runner.run_until([&] {
            for (file_descriptor& one : clients) {
                std::string dropped;
                if (one && !read_available(one.get(), dropped))
                    one.reset();
            }
            return runner.engine.active() == 0;
        }));
    }

    const sample_file file{2'000'000};
    std::vector<file_descriptor> clients;
};

using prepared = engine::engine::prepared;

std::optional<refusal> refusal_of(const std::variant<prepared, refusal>& result) {
    const auto* const reason = std::get_if<refusal>(&result);
    return reason == nullptr ? std::nullopt : std::optional(*reason);
}

TEST_F(engine_test, takes_no_more_than_its_limit_and_again_when_one_has_ended) {
    engine::engine_options options;
    options.limits.all.queue = 0;
    options.limits.all.transfers = 2;
    running_engine runner(options);
    begin(runner);
    begin(runner);
    EXPECT_EQ(runner.engine.active(), 2U);
    EXPECT_EQ(refusal_of(prepare(runner)), refusal::full);
    EXPECT_EQ(runner.engine.active(), 2U);
    let_all_end(runner);
    EXPECT_EQ(refusal_of(prepare(runner)), std::nullopt);
}

TEST_F(engine_test, a_limit_set_later_holds_from_then_on) {
    engine::engine_options options;
    options.limits.all.queue = 0;
    running_engine runner(options);
    begin(runner);
    begin(runner);
    options.limits.all.transfers = 1;
    runner.engine.set_limits(options.limits, 0);
    EXPECT_EQ(refusal_of(prepare(runner)), refusal::full);
    EXPECT_EQ(runner.engine.active(), 2U);
    options.limits.all.transfers = 0;
    runner.engine.set_limits(options.limits, 0);
    EXPECT_EQ(refusal_of(prepare(runner)), std::nullopt);
    let_all_end(runner);
}

TEST_F(engine_test, accepts_nothing_new_once_stopped_and_ends_what_it_has) {
    running_engine runner;
    begin(runner);
    runner.engine.stop_accepting();
    EXPECT_EQ(refusal_of(prepare(runner)), refusal::stopping);
    let_all_end(runner);
    const auto lines = runner.log_lines();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(json::parse(lines[0])["outcome"], "complete");
}

TEST_F(engine_test, a_refusal_closes_its_copies_of_the_descriptors_and_leaves_the_connection) {
    running_engine runner;
    runner.engine.stop_accepting();
    auto descriptors = connect();
    const file_descriptor workers_own = file_descriptor::duplicate_of(descriptors[0].get());
    const std::size_t before = open_descriptors();
    EXPECT_EQ(refusal_of(runner.engine.prepare(make_offer("head", file), std::move(descriptors))),
              refusal::stopping);
    EXPECT_EQ(open_descriptors(), before - 2);
    ASSERT_EQ(::send(workers_own.get(), "served", 6, 0), 6);
    char buffer[16];
    EXPECT_EQ(::recv(clients[0].get(), buffer, sizeof buffer, 0), 6);
}

TEST_F(engine_test, what_was_prepared_and_dropped_has_done_nothing) {
    running_engine runner;
    auto descriptors = connect();
    const file_descriptor workers_own = file_descriptor::duplicate_of(descriptors[0].get());
    const std::size_t before = open_descriptors();
    {
        const auto ready = runner.engine.prepare(make_offer("head", file), std::move(descriptors));
        ASSERT_EQ(refusal_of(ready), std::nullopt);
        // A client that becomes readable and writable meanwhile starts nothing.
        ASSERT_EQ(::send(clients[0].get(), "x", 1, 0), 1);
        EXPECT_EQ(runner.engine.active(), 0U);
    }
    EXPECT_EQ(open_descriptors(), before - 2);
    runner.engine.run_turns();
    EXPECT_TRUE(runner.log_lines().empty());
    ASSERT_EQ(::send(workers_own.get(), "served", 6, 0), 6);
    char buffer[16];
    EXPECT_EQ(::recv(clients[0].get(), buffer, sizeof buffer, 0), 6);
}

TEST_F(engine_test, transfers_have_ids_of_their_own_also_in_another_engine) {
    std::set<std::string> ids;
    for (int life = 0; life < 2; ++life) {
        running_engine runner;
        for (int i = 0; i < 5; ++i)
            begin(runner);
        let_all_end(runner);
        for (const std::string& line : runner.log_lines())
            ids.insert(json::parse(line)["id"]);
    }
    EXPECT_EQ(ids.size(), 10U);
}

TEST_F(engine_test, its_name_is_in_the_log) {
    engine::engine_options options;
    options.manager = "m7";
    running_engine runner(options);
    begin(runner);
    let_all_end(runner);
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["manager"], "m7");
}

TEST_F(engine_test, another_log_gets_what_ends_from_then_on) {
    running_engine runner;
    const readable_log other;
    begin(runner);
    let_all_end(runner);
    begin(runner);
    runner.engine.set_log(other.writer());
    let_all_end(runner);
    EXPECT_EQ(runner.log_lines().size(), 1U);
    EXPECT_EQ(other.lines().size(), 1U);
}

TEST_F(engine_test, its_end_ends_and_logs_every_transfer) {
    const readable_log log;
    {
        engine::event_loop loop;
        engine::engine one(loop, {}, log.writer());
        for (int i = 0; i < 3; ++i) {
            auto ready = one.prepare(make_offer("head", file), connect());
            ASSERT_EQ(refusal_of(ready), std::nullopt);
            one.begin(std::get<prepared>(std::move(ready)));
        }
        one.run_turns();
    }
    const auto lines = log.lines();
    ASSERT_EQ(lines.size(), 3U);
    for (const std::string& line : lines)
        EXPECT_EQ(json::parse(line)["outcome"], "shutdown");
}

TEST_F(engine_test, wants_to_be_called_at_once_while_somebody_can_send_and_else_at_a_deadline) {
    engine::engine_options options;
    options.limits.classes[0].own.stall_timeout = std::chrono::seconds(20);
    running_engine runner(options);
    EXPECT_EQ(runner.engine.next_deadline(), clock::time_point::max());
    begin(runner);
    EXPECT_LE(runner.engine.next_deadline(), clock::now());
    // Nobody reads: soon the sockets are full.
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.next_deadline() > clock::now(); }));
    EXPECT_LE(runner.engine.next_deadline(), clock::now() + options.limits.classes[0].own.stall_timeout);
    runner.engine.end_all(engine::outcome::cancelled);
    EXPECT_EQ(runner.engine.next_deadline(), clock::time_point::max());
}

TEST_F(engine_test, a_stall_timeout_set_later_ends_those_under_way) {
    engine::engine_options options;
    options.limits.classes[0].own.stall_timeout = std::chrono::milliseconds(400);
    running_engine runner(options);
    begin(runner);
    options.limits.classes[0].own.stall_timeout = std::chrono::milliseconds(50);
    runner.engine.set_limits(options.limits, 0);
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    const json line = json::parse(runner.log_lines().at(0));
    EXPECT_EQ(line["outcome"], "stalled");
}

} // namespace
} // namespace dlhandoff::test
