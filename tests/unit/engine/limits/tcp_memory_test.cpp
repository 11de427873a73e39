#include "engine/limits/tcp_memory.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

TEST(tcp_memory, divides_its_budget) {
    engine::tcp_memory memory(64 * 1024 * 1024);
    EXPECT_EQ(memory.low_water(), 256 * 1024);
    for (int i = 0; i < 8; ++i)
        memory.enter();
    EXPECT_EQ(memory.low_water(), 256 * 1024);
    memory.enter();
    EXPECT_EQ(memory.low_water(), 64 * 1024);
    for (int i = 9; i < 512; ++i)
        memory.enter();
    EXPECT_EQ(memory.low_water(), 64 * 1024);
    memory.enter();
    EXPECT_EQ(memory.low_water(), 32 * 1024);
    for (int i = 0; i < 10'000; ++i)
        memory.enter();
    EXPECT_EQ(memory.low_water(), 16 * 1024);
}

TEST(tcp_memory, gives_more_to_the_fast_while_there_is_some) {
    engine::tcp_memory memory(64 * 1024 * 1024);
    EXPECT_EQ(memory.raised(256 * 1024), 512 * 1024);
    EXPECT_EQ(memory.raised(1024 * 1024), 1024 * 1024);
    memory.changed(0, 64 * 1024 * 1024);
    EXPECT_EQ(memory.raised(256 * 1024), 256 * 1024);
    EXPECT_FALSE(memory.is_short());
    memory.changed(0, 1);
    EXPECT_TRUE(memory.is_short());
    EXPECT_EQ(memory.raised(1024 * 1024), 512 * 1024) << "the fast give back, too";
    EXPECT_EQ(memory.raised(256 * 1024), 256 * 1024) << "what all may have";
}

TEST(tcp_memory, is_shared_by_engines) {
    engine::tcp_memory memory(64 * 1024 * 1024);
    memory.share_with(4);
    EXPECT_EQ(memory.budget(), 16U * 1024 * 1024);
    memory.set_budget(32 * 1024 * 1024);
    EXPECT_EQ(memory.budget(), 8U * 1024 * 1024);
    memory.share_with(1);
    EXPECT_EQ(memory.budget(), 32U * 1024 * 1024);
}

TEST(tcp_memory, has_half_of_the_systems_without_a_budget_of_its_own) {
    EXPECT_GT(engine::tcp_memory(0).budget(), 1024U * 1024);
}

} // namespace
} // namespace dlhandoff::test
