#include "engine/event_loop.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::clock;
using engine::event_loop;

/// Long enough for any machine; a wait that is not ended by what the test waits for ends it in failure.
clock::time_point far_away() {
    return clock::now() + std::chrono::seconds(10);
}

/// Watches an eventfd that is readable from the start, and calls a function.
class watcher final : public engine::event_handler {
  public:
    watcher(event_loop& loop, std::function<void()> call, std::uint32_t events = EPOLLIN)
        : loop_(loop), counter_(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)), call_(std::move(call)) {
        EXPECT_TRUE(loop.add(counter_.get(), events, *this));
    }
    ~watcher() { loop_.remove(counter_.get(), *this); }
    void on_events(std::uint32_t events) override {
        EXPECT_TRUE((events & EPOLLIN) != 0);
        ++calls;
        // What it captured may destroy this object.
        const auto call = call_;
        call();
    }
    void make_readable_again() const {
        const std::uint64_t one = 1;
        EXPECT_EQ(::write(counter_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    int calls = 0;

  private:
    event_loop& loop_;
    file_descriptor counter_;
    std::function<void()> call_;
};

TEST(event_loop, calls_every_handler_that_has_events) {
    event_loop loop;
    std::vector<std::unique_ptr<watcher>> watchers;
    // More than are fetched at once.
    for (int i = 0; i < 600; ++i)
        watchers.push_back(std::make_unique<watcher>(
            loop, [] {}, EPOLLIN | EPOLLET));
    for (int i = 0; i < 3; ++i)
        loop.run_once(far_away());
    for (const auto& one : watchers)
        EXPECT_EQ(one->calls, 1);
}

TEST(event_loop, a_handler_destroyed_by_another_is_not_called_for_events_fetched_already) {
    event_loop loop;
    std::unique_ptr<watcher> first, second;
    int calls = 0;
    first = std::make_unique<watcher>(loop, [&] {
        ++calls;
        second.reset();
    });
    second = std::make_unique<watcher>(loop, [&] {
        ++calls;
        first.reset();
    });
    loop.run_once(far_away());
    EXPECT_EQ(calls, 1);
    EXPECT_NE(first == nullptr, second == nullptr);
}

TEST(event_loop, a_handler_may_destroy_itself) {
    event_loop loop;
    std::unique_ptr<watcher> one;
    int calls = 0;
    one = std::make_unique<watcher>(loop, [&] {
        ++calls;
        one.reset();
    });
    loop.run_once(far_away());
    loop.run_once(clock::time_point());
    EXPECT_EQ(calls, 1);
}

TEST(event_loop, a_handler_added_at_the_place_of_a_removed_one_gets_none_of_its_events) {
    event_loop loop;
    std::unique_ptr<watcher> first, second;
    std::unique_ptr<watcher> later;
    const auto replace = [&](std::unique_ptr<watcher>& other) {
        other.reset();
        later = std::make_unique<watcher>(
            loop, [] {}, EPOLLIN | EPOLLET);
    };
    first = std::make_unique<watcher>(
        loop, [&] { replace(second); }, EPOLLIN | EPOLLET);
    second = std::make_unique<watcher>(
        loop, [&] { replace(first); }, EPOLLIN | EPOLLET);
    loop.run_once(far_away());
    ASSERT_NE(later, nullptr);
    EXPECT_EQ(later->calls, 0);
    loop.run_once(far_away());
    EXPECT_EQ(later->calls, 1);
}

TEST(event_loop, edge_triggered_events_come_once_until_there_is_something_new) {
    event_loop loop;
    watcher one(
        loop, [] {}, EPOLLIN | EPOLLET);
    loop.run_once(far_away());
    loop.run_once(clock::time_point());
    EXPECT_EQ(one.calls, 1);
    one.make_readable_again();
    loop.run_once(far_away());
    EXPECT_EQ(one.calls, 2);
}

TEST(event_loop, waits_until_the_deadline_and_then_knows_the_time) {
    event_loop loop;
    const auto deadline = clock::now() + std::chrono::milliseconds(30);
    loop.run_once(deadline);
    EXPECT_GE(clock::now(), deadline);
    EXPECT_GE(loop.now(), deadline);
    EXPECT_LE(loop.now(), clock::now());
}

TEST(event_loop, does_not_wait_when_the_deadline_has_passed) {
    event_loop loop;
    const auto began = clock::now();
    for (int i = 0; i < 1000; ++i) {
        loop.run_once(clock::time_point());
        loop.run_once(clock::time_point::min() + std::chrono::hours(24 * 365));
        loop.run_once(loop.now());
    }
    EXPECT_LT(clock::now() - began, std::chrono::seconds(5));
}

TEST(event_loop, says_when_the_kernel_cannot_watch_a_descriptor) {
    event_loop loop;
    struct idle_handler final : engine::event_handler {
        void on_events(std::uint32_t) override {}
    } handler;
    const file_descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file);
    EXPECT_FALSE(loop.add(file.get(), EPOLLIN, handler));
    EXPECT_EQ(errno, EPERM);
}

TEST(event_loop, a_signal_that_interrupts_the_wait_does_no_harm) {
    event_loop loop;
    static std::atomic<int> signals{0};
    struct sigaction action {
    }, before{};
    action.sa_handler = [](int) { ++signals; };
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    const pthread_t waiting = ::pthread_self();
    std::atomic<bool> done{false};
    std::thread sender([&] {
        while (!done) {
            ::pthread_kill(waiting, SIGUSR1);
            std::this_thread::yield();
        }
    });
    const auto limit = far_away();
    while (signals < 100 && clock::now() < limit)
        loop.run_once(clock::now() + std::chrono::milliseconds(5));
    done = true;
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    EXPECT_GE(signals, 100);
}

struct wake_up_test : testing::Test {
    event_loop loop;
    int calls = 0;
    engine::wake_up wake{loop, [](void* self) { ++static_cast<wake_up_test*>(self)->calls; }, this};
};

TEST_F(wake_up_test, wakes_a_loop_that_waits_for_ever_from_another_thread) {
    const auto began = clock::now();
    std::thread other([this] { wake.notify(); });
    loop.run_once(clock::time_point::max());
    other.join();
    EXPECT_EQ(calls, 1);
    EXPECT_LT(clock::now() - began, std::chrono::seconds(10));
}

TEST_F(wake_up_test, a_notification_before_the_wait_is_not_lost) {
    wake.notify();
    loop.run_once(clock::time_point::max());
    EXPECT_EQ(calls, 1);
}

TEST_F(wake_up_test, many_notifications_are_one_call) {
    for (int i = 0; i < 1000; ++i)
        wake.notify();
    loop.run_once(far_away());
    loop.run_once(clock::time_point());
    EXPECT_EQ(calls, 1);
}

TEST_F(wake_up_test, every_notification_of_many_threads_is_followed_by_a_call) {
    std::atomic<int> asked{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 500; ++n) {
                ++asked;
                wake.notify();
            }
        });
    const auto limit = far_away();
    for (int seen = 0; seen < 2000 && clock::now() < limit;) {
        loop.run_once(clock::now() + std::chrono::milliseconds(100));
        seen = asked;
    }
    for (std::thread& one : threads)
        one.join();
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, 2000);
    // None is left over that nobody notified.
    loop.run_once(clock::time_point());
    const int settled = calls;
    loop.run_once(clock::time_point());
    EXPECT_EQ(calls, settled);
}

TEST_F(wake_up_test, leaves_errno_alone_as_a_signal_handler_must) {
    errno = ENOTTY;
    wake.notify();
    EXPECT_EQ(errno, ENOTTY);
}

} // namespace
} // namespace dlhandoff::test
