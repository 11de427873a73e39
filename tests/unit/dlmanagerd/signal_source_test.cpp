#include "dlmanagerd/signal_source.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <pthread.h>
#include <vector>

namespace dlhandoff::test {
namespace {

using namespace std::chrono_literals;

TEST(signal_source, brings_its_signals_to_the_loop_and_lets_them_interrupt_nothing) {
    sigset_t before;
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
    {
        engine::event_loop loop;
        std::vector<int> heard;
        const service::signal_source source(loop, {SIGUSR1, SIGUSR2},
                                            [&heard](int signal) { heard.push_back(signal); });
        ASSERT_EQ(::raise(SIGUSR2), 0);
        ASSERT_EQ(::raise(SIGUSR1), 0);
        EXPECT_TRUE(heard.empty());
        const auto limit = engine::clock::now() + 10s;
        while (heard.size() < 2 && engine::clock::now() < limit)
            loop.run_once(engine::clock::now() + 10ms);
        EXPECT_EQ(heard, (std::vector{SIGUSR1, SIGUSR2})); // the lower number first: signal(7)
    }
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

} // namespace
} // namespace dlhandoff::test
