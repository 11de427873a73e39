#include "shared/manager_choice.hpp"

#include <gtest/gtest.h>

namespace dlhandoff {
namespace {

using namespace std::chrono_literals;

/// A board of three managers that are equally good.
class manager_choice_test : public ::testing::Test {
  protected:
    manager_choice_test() {
        for (std::uint32_t index = 0; index < 3; ++index) {
            one(index).state = manager_state::live;
            one(index).room = room_level::plenty;
            beat(index, 0ms);
        }
    }
    [[nodiscard]] manager_status& one(std::uint32_t index) const { return the_board.manager(index); }
    void beat(std::uint32_t index, std::chrono::milliseconds ago) const {
        one(index).heartbeat = heartbeat_at(now - ago);
    }
    [[nodiscard]] std::optional<manager_choice> chosen(const manager_set& except = {}) const {
        return choose_manager(the_board, now, except);
    }

    const board the_board = board::create(1, 3);
    const std::chrono::steady_clock::time_point now{1h};
};

TEST_F(manager_choice_test, is_the_one_with_the_least_load) {
    one(0).load = 5;
    one(1).load = 3;
    one(2).load = 4;
    ASSERT_TRUE(chosen());
    EXPECT_EQ(chosen()->index, 1u);
    EXPECT_TRUE(chosen()->room);
    EXPECT_TRUE(chosen()->fresh);
}

TEST_F(manager_choice_test, is_with_equal_load_the_one_with_the_fewest_connections) {
    one(0).counters.connections = 2;
    one(1).counters.connections = 2;
    one(2).counters.connections = 1;
    EXPECT_EQ(chosen()->index, 2u);
    one(2).load = 1;
    EXPECT_EQ(chosen()->index, 0u);
}

TEST_F(manager_choice_test, is_a_base_manager_before_any_duplicate) {
    one(0).rank = manager_rank::duplicate;
    one(1).load = 1000;
    one(2).load = 1001;
    EXPECT_EQ(chosen()->index, 1u);
}

TEST_F(manager_choice_test, is_a_duplicate_when_the_others_are_full) {
    one(0).room = room_level::none;
    one(1).room = room_level::none;
    one(2).rank = manager_rank::duplicate;
    one(2).room = room_level::low;
    one(2).load = 1000;
    EXPECT_EQ(chosen()->index, 2u);
    EXPECT_TRUE(chosen()->room);
}

TEST_F(manager_choice_test, is_fresh_if_any_with_room_is) {
    beat(0, 100ms);
    beat(1, 99ms);
    beat(2, 10s);
    one(1).rank = manager_rank::duplicate;
    one(1).load = 1000;
    EXPECT_EQ(chosen()->index, 1u);
    EXPECT_TRUE(chosen()->fresh);
    one(1).room = room_level::none;
    EXPECT_EQ(chosen()->index, 0u) << "a stale one with room before a fresh one without";
    EXPECT_FALSE(chosen()->fresh);
}

TEST_F(manager_choice_test, takes_sleepers_and_later_heartbeats_for_fresh) {
    beat(0, 101ms);
    beat(1, 101ms);
    one(2).heartbeat = manager_status::asleep;
    one(2).load = 9;
    EXPECT_EQ(chosen()->index, 2u);
    beat(0, -5ms);
    EXPECT_EQ(chosen()->index, 0u);
}

TEST_F(manager_choice_test, is_one_that_lives) {
    one(0).state = manager_state::vacant;
    one(1).state = manager_state::starting;
    EXPECT_EQ(chosen()->index, 2u);
    one(2).state = manager_state::draining;
    EXPECT_FALSE(chosen());
    one(2).state = static_cast<manager_state>(77);
    EXPECT_FALSE(chosen());
}

TEST_F(manager_choice_test, is_none_of_the_excepted) {
    manager_set except;
    except.set(0).set(2);
    EXPECT_EQ(chosen(except)->index, 1u);
    except.set(1);
    EXPECT_FALSE(chosen(except));
}

TEST_F(manager_choice_test, says_when_all_are_full) {
    for (std::uint32_t index = 0; index < 3; ++index)
        one(index).room = room_level::none;
    ASSERT_TRUE(chosen());
    EXPECT_FALSE(chosen()->room);
    EXPECT_TRUE(chosen()->fresh);
}

} // namespace
} // namespace dlhandoff
