#include "engine/engine_thread.hpp"

#include "tests/unit/engine/download.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <pthread.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::clock;
using engine::engine_thread;
using nlohmann::json;

/// Waits for what another thread does.
[[nodiscard]] bool eventually(const std::function<bool()>& holds) {
    const auto limit = clock::now() + std::chrono::seconds(10);
    while (!holds()) {
        if (clock::now() > limit)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

std::set<std::string> threads_of_this_process() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
        names.insert(entry.path().filename());
    return names;
}

struct engine_thread_test : testing::Test {
    /// Offers the file to `thread` for a new client, whose end is the first of what it returns.
    struct offered {
        file_descriptor client;
        std::optional<refusal> refused;
    };
    [[nodiscard]] offered offer_to(engine_thread& thread) const {
        tcp_pair connection;
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
        const auto refused = thread.take(make_offer(head, file), std::move(descriptors));
        return {std::move(connection.client), refused};
    }

    /// Reads to the end; true if the whole response came.
    [[nodiscard]] bool receives_all(const file_descriptor& client) const {
        std::string received;
        EXPECT_TRUE(eventually([&] { return !read_available(client.get(), received); }));
        return received == head + file.content();
    }

    [[nodiscard]] std::vector<std::string> outcomes() const {
        std::vector<std::string> result;
        for (const std::string& line : log.lines())
            result.push_back(json::parse(line)["outcome"]);
        return result;
    }

    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    const sample_file file{3'000'000}; // more than the kernel takes at once from a client that doesn't read
    const readable_log log;
};

TEST_F(engine_thread_test, sends_what_it_takes) {
    engine_thread thread({}, log.writer());
    offered one = offer_to(thread);
    ASSERT_EQ(one.refused, std::nullopt);
    EXPECT_EQ(thread.active(), 1U);
    EXPECT_TRUE(receives_all(one.client));
    one.client.reset();
    EXPECT_TRUE(eventually([&] { return thread.active() == 0; }));
    EXPECT_EQ(outcomes(), std::vector<std::string>{"complete"});
}

TEST_F(engine_thread_test, takes_from_several_threads_at_once) {
    constexpr int threads = 4;
    constexpr int each = 8;
    engine_thread thread({}, log.writer());
    std::vector<std::thread> workers;
    std::atomic<int> whole{0};
    for (int i = 0; i < threads; ++i)
        workers.emplace_back([&] {
            for (int n = 0; n < each; ++n) {
                const offered one = offer_to(thread);
                EXPECT_EQ(one.refused, std::nullopt);
                whole += receives_all(one.client) ? 1 : 0;
            }
        });
    for (std::thread& one : workers)
        one.join();
    EXPECT_EQ(whole, threads * each);
    thread.drain();
    EXPECT_EQ(thread.active(), 0U);
    EXPECT_EQ(outcomes(), std::vector<std::string>(threads * each, "complete"));
}

TEST_F(engine_thread_test, refuses_what_is_not_as_offered) {
    engine_thread thread({}, log.writer());
    tcp_pair connection;
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    EXPECT_EQ(thread.take(make_offer(head, file), std::move(descriptors)), refusal::missing_descriptor);
    EXPECT_EQ(thread.active(), 0U);
}

TEST_F(engine_thread_test, drain_waits_for_a_slow_client_and_lets_nobody_new_in) {
    engine_thread thread({}, log.writer());
    offered slow = offer_to(thread);
    ASSERT_EQ(slow.refused, std::nullopt);
    std::atomic<bool> drained{false};
    std::thread draining([&] {
        thread.drain();
        drained = true;
    });
    std::vector<file_descriptor> taken_before;
    EXPECT_TRUE(eventually([&] {
        offered another = offer_to(thread);
        if (another.refused)
            return another.refused == refusal::stopping;
        taken_before.push_back(std::move(another.client));
        return false;
    }));
    for (const file_descriptor& one : taken_before)
        EXPECT_TRUE(receives_all(one));
    taken_before.clear();
    EXPECT_TRUE(eventually([&] { return thread.active() == 1; }));
    EXPECT_FALSE(drained);
    EXPECT_TRUE(receives_all(slow.client));
    slow.client.reset();
    draining.join();
    EXPECT_EQ(thread.active(), 0U);
    const auto ended = outcomes();
    EXPECT_EQ(std::count(ended.begin(), ended.end(), "complete"), std::ssize(ended));
}

TEST_F(engine_thread_test, drain_of_an_idle_engine_returns) {
    engine_thread thread({}, log.writer());
    thread.drain();
    thread.drain();
    EXPECT_EQ(offer_to(thread).refused, refusal::stopping);
}

TEST_F(engine_thread_test, cut_ends_everything_and_refuses_from_then_on) {
    engine_thread thread({}, log.writer());
    std::vector<offered> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(offer_to(thread));
    thread.cut();
    EXPECT_EQ(offer_to(thread).refused, refusal::stopping);
    EXPECT_TRUE(eventually([&] { return thread.active() == 0; }));
    for (const offered& one : clients)
        EXPECT_FALSE(receives_all(one.client));
    EXPECT_EQ(outcomes(), std::vector<std::string>(3, "shutdown"));
}

std::atomic<engine_thread*> to_be_cut{nullptr};

TEST_F(engine_thread_test, a_signal_handler_cuts_a_drain_short) {
    engine_thread thread({}, log.writer());
    const offered slow = offer_to(thread);
    ASSERT_EQ(slow.refused, std::nullopt);
    to_be_cut = &thread;
    struct sigaction action {
    }, before{};
    action.sa_handler = [](int) { to_be_cut.load()->cut(); };
    ASSERT_EQ(::sigaction(SIGUSR2, &action, &before), 0);
    const pthread_t draining = ::pthread_self();
    // Comes when the drain has begun: nobody is let in any more.
    std::vector<file_descriptor> taken_before; // none of them closes before it is cut
    std::thread signaller([&] {
        EXPECT_TRUE(eventually([&] {
            offered another = offer_to(thread);
            const bool draining_now = another.refused.has_value();
            taken_before.push_back(std::move(another.client));
            return draining_now;
        }));
        ::pthread_kill(draining, SIGUSR2);
    });
    thread.drain();
    signaller.join();
    ::sigaction(SIGUSR2, &before, nullptr);
    EXPECT_EQ(thread.active(), 0U);
    EXPECT_FALSE(receives_all(slow.client));
    const auto ended = outcomes();
    EXPECT_GE(std::ssize(ended), 1);
    EXPECT_EQ(std::count(ended.begin(), ended.end(), "shutdown"), std::ssize(ended));
}

TEST_F(engine_thread_test, its_end_ends_what_is_under_way) {
    std::optional<engine_thread> thread(std::in_place, engine::engine_options{}, log.writer());
    std::vector<offered> clients;
    for (int i = 0; i < 5; ++i)
        clients.push_back(offer_to(*thread));
    thread.reset();
    for (const offered& one : clients)
        EXPECT_FALSE(receives_all(one.client));
    EXPECT_EQ(outcomes(), std::vector<std::string>(5, "shutdown"));
}

TEST_F(engine_thread_test, what_was_taken_just_before_its_end_is_ended_and_logged_too) {
    for (int round = 0; round < 30; ++round) {
        engine_thread thread({}, log.writer());
        EXPECT_EQ(offer_to(thread).refused, std::nullopt);
    }
    EXPECT_EQ(log.lines().size(), 30U);
}

TEST_F(engine_thread_test, its_thread_gets_no_signal) {
    // ThreadSanitizer starts a thread of its own beside the first one.
    std::thread([] {}).join();
    const auto before = threads_of_this_process();
    const engine_thread thread({}, log.writer());
    auto now = threads_of_this_process();
    for (const std::string& one : before)
        now.erase(one);
    ASSERT_EQ(now.size(), 1U);
    std::ifstream status("/proc/self/task/" + *now.begin() + "/status");
    std::uint64_t blocked = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("SigBlk:"))
            blocked = std::stoull(line.substr(7), nullptr, 16);
    for (const int number : {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGALRM, SIGCHLD})
        EXPECT_TRUE((blocked >> (number - 1) & 1) != 0) << ::strsignal(number);
}

} // namespace
} // namespace dlhandoff::test
