#include "engine/signal_mask.hpp"

#include <gtest/gtest.h>
#include <thread>

namespace dlhandoff::test {
namespace {

bool is_blocked(int number) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, number) == 1;
}

TEST(blocked_signals, are_those_of_the_thread_and_of_threads_it_starts_meanwhile) {
    ASSERT_FALSE(is_blocked(SIGUSR1));
    {
        const engine::blocked_signals blocked;
        EXPECT_TRUE(is_blocked(SIGUSR1));
        EXPECT_TRUE(is_blocked(SIGTERM));
        std::thread([] { EXPECT_TRUE(is_blocked(SIGTERM)); }).join();
    }
    EXPECT_FALSE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGTERM));
}

TEST(blocked_signals, leave_the_mask_as_it_was) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &one, &before);
    { const engine::blocked_signals blocked; }
    EXPECT_TRUE(is_blocked(SIGUSR2));
    EXPECT_FALSE(is_blocked(SIGUSR1));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace
} // namespace dlhandoff::test
