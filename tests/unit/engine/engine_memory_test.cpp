// Without memory, wherever it runs out: a response has one sender, and no transfer is left behind.
#include "tests/unit/engine/client/return_listener.hpp"
#include "tests/unit/engine/download.hpp"
#include "tests/unit/engine/memory_shortage.hpp"

#include <gtest/gtest.h>
#include <new>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

constexpr int enough = 1000;
const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

struct engine_memory_test : testing::Test {
    const sample_file file{3'000'000};

    [[nodiscard]] engine::engine::prepared prepare(running_engine& runner, tcp_pair& by,
                                                   const return_terms& back = {}) const {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(by.server));
        descriptors.push_back(file.open());
        auto ready = runner.engine.prepare(make_offer(head, file, {}, back), std::move(descriptors));
        return std::get<engine::engine::prepared>(std::move(ready));
    }
    static engine::engine_options one_at_a_time() {
        engine::engine_options options;
        options.limits.all.transfers = 1;
        options.limits.all.rate = 1'000'000'000; // so that rates are kept, too
        return options;
    }
};

/// The allocation after so many others fails; false: so many are not needed.
bool begin_without_memory(running_engine& runner, engine::engine::prepared ready, int after) {
    const std::size_t before = runner.engine.active();
    bool thrown = false;
    const memory_shortage shortage(after);
    try {
        runner.engine.begin(std::move(ready));
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    if (thrown) {
        EXPECT_EQ(runner.engine.active(), before) << "who throws has not taken it over";
    }
    return memory_shortage::felt();
}

TEST_F(engine_memory_test, a_response_that_can_not_begin_is_not_taken_over) {
    for (int after = 0; after < enough; ++after) {
        SCOPED_TRACE(after);
        running_engine runner(one_at_a_time());
        tcp_pair connection;
        const bool felt = begin_without_memory(runner, prepare(runner, connection), after);
        runner.engine.end_all(engine::outcome::cancelled);
        if (!felt)
            return;
    }
    FAIL() << "there is no end of allocations";
}

TEST_F(engine_memory_test, a_response_that_can_not_wait_is_not_taken_over) {
    for (int after = 0; after < enough; ++after) {
        SCOPED_TRACE(after);
        running_engine runner(one_at_a_time());
        tcp_pair running;
        runner.engine.begin(prepare(runner, running));
        tcp_pair connection;
        const bool felt = begin_without_memory(runner, prepare(runner, connection), after);
        EXPECT_EQ(runner.engine.queued() + 1, runner.engine.active());
        runner.engine.end_all(engine::outcome::cancelled);
        if (!felt)
            return;
    }
    FAIL() << "there is no end of allocations";
}

TEST_F(engine_memory_test, every_transfer_can_be_ended) {
    for (int after = 0; after < enough; ++after) {
        SCOPED_TRACE(after);
        running_engine runner(one_at_a_time());
        tcp_pair running;
        tcp_pair waiting;
        runner.engine.begin(prepare(runner, running));
        runner.engine.begin(prepare(runner, waiting));
        bool felt = false;
        {
            const memory_shortage shortage(after);
            runner.engine.end_all(engine::outcome::cancelled);
            felt = memory_shortage::felt();
        }
        EXPECT_EQ(runner.engine.active(), 0U);
        EXPECT_EQ(runner.engine.queued(), 0U);
        if (!felt) {
            EXPECT_EQ(runner.log_lines().size(), 2U);
            return;
        }
    }
    FAIL() << "there is no end of allocations";
}

TEST_F(engine_memory_test, a_connection_that_can_not_go_on_is_closed) {
    const return_listener httpd;
    for (int after = 0; after < enough; ++after) {
        SCOPED_TRACE(after);
        running_engine runner;
        tcp_pair connection;
        runner.engine.begin(prepare(runner, connection, {httpd.path(), 5000, 1}));
        std::string received;
        bool open = true;
        // All rounds of the loop in which the end is near.
        ASSERT_TRUE(runner.run_until([&] {
            open = read_available(connection.client.get(), received);
            return received.size() == head.size() + file.content().size();
        }));
        bool felt = false;
        {
            const memory_shortage shortage(after);
            while (runner.engine.active() != 0) {
                runner.loop.run_once(runner.engine.next_deadline());
                runner.engine.run_turns();
            }
            felt = memory_shortage::felt();
        }
        EXPECT_EQ(runner.engine.active(), 0U);
        if (runner.engine.idle() == 0) {
            EXPECT_TRUE(runner.run_until(
                [&] { return !open || !(open = read_available(connection.client.get(), received)); }));
        }
        EXPECT_TRUE(received == head + file.content());
        if (!felt) {
            EXPECT_EQ(runner.engine.idle(), 1U);
            return;
        }
    }
    FAIL() << "there is no end of allocations";
}

} // namespace
} // namespace dlhandoff::test
