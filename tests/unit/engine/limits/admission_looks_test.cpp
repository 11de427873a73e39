// Many clients at their limits elsewhere: what looking at them costs, and whom it must not hold up.
#include "tests/unit/engine/limits/admission_ledger_fixture.hpp"

namespace dlhandoff::test {
namespace {

TEST_F(admission_ledger, many_that_are_held_back_cost_a_bounded_number_of_looks) {
    engine_side one(table_, limits_of(2000, 1));
    engine_side two(table_, limits_of(2000, 1));
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(one.enter(std::to_string(i)), answer::admitted);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(two.enter(std::to_string(i)), answer::waits);
    EXPECT_EQ(two.recheck(), 0);
    for (std::size_t i = 0; i < 1000; ++i)
        one.leave(i);
    int started = 0;
    for (int calls = 1; calls <= 4; ++calls) {
        const int now = two.recheck();
        EXPECT_LE(now, static_cast<int>(admission::recheck_shares));
        started += now;
    }
    EXPECT_EQ(started, 1000);
    EXPECT_FALSE(two.queue.held_back());
}

TEST_F(admission_ledger, a_class_whose_clients_are_at_their_limits_elsewhere_does_not_stop_others) {
    const int many = 3 * static_cast<int>(admission::recheck_shares);
    engine_side one(roomy_, limits_of(0, 1));
    engine_side two(roomy_, limits_of(0, 1));
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(one.enter(std::to_string(i), 2), answer::admitted);
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(two.enter(std::to_string(i), 2), answer::waits);
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(two.recheck(), 0);
        EXPECT_EQ(two.enter("default " + std::to_string(round), 0), answer::admitted);
    }
    EXPECT_EQ(two.enter("0", 1), answer::waits) << "its only one is elsewhere";
    one.leave(0);
    int rounds = 0;
    while (two.recheck() == 0 && ++rounds < 10) {
    }
    EXPECT_LT(rounds, 4);
}

TEST_F(admission_ledger, those_who_wait_in_other_classes_have_their_turns_beside_many_at_their_limits) {
    const int many = static_cast<int>(admission::recheck_shares);
    const auto places = static_cast<std::uint32_t>(many) + 1;
    engine_side one(roomy_, limits_of(places, 1));
    engine_side two(roomy_, limits_of(places, 1));
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(one.enter(std::to_string(i), 2), answer::admitted);
    EXPECT_EQ(two.enter("running", 0), answer::admitted);
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(two.enter(std::to_string(i), 2), answer::waits);
    EXPECT_EQ(two.enter("next", 0), answer::waits);
    two.leave(0);
    EXPECT_EQ(two.start(), 1) << "class 2 goes first, and can't";
    EXPECT_TRUE(two.queue.held_back());
    EXPECT_EQ(two.recheck(), 0);
}

TEST_F(admission_ledger, looks_are_bounded_between_two_rechecks_whoever_leaves) {
    const int many = 2 * static_cast<int>(admission::recheck_shares);
    engine_side one(roomy_, limits_of(0, 1));
    auto narrow = limits_of(0, 1);
    narrow.classes[0].own.transfers = 2;
    engine_side two(roomy_, narrow);
    EXPECT_EQ(two.enter("running"), answer::admitted);
    EXPECT_EQ(two.enter("running, too"), answer::admitted);
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(one.enter(std::to_string(i), 1), answer::admitted);
    for (int i = 0; i < many; ++i)
        EXPECT_EQ(two.enter(std::to_string(i)), answer::waits);
    EXPECT_EQ(two.enter("free"), answer::waits);
    two.leave(0);
    EXPECT_EQ(two.start(), 0);
    two.leave(1);
    EXPECT_EQ(two.start(), 0) << "one look more, not as many again";
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_ledger, next_looks_at_a_bounded_number_too) {
    engine_side one(table_, limits_of(301, 1));
    engine_side two(table_, limits_of(301, 1));
    for (int i = 0; i < 300; ++i)
        EXPECT_EQ(one.enter(std::to_string(i)), answer::admitted);
    EXPECT_EQ(two.enter("running"), answer::admitted);
    for (int i = 0; i < 300; ++i)
        EXPECT_EQ(two.enter(std::to_string(i)), answer::waits);
    EXPECT_EQ(two.enter("free"), answer::waits);
    two.leave(0);
    EXPECT_EQ(two.start(), 0) << "256 that are at their limit at the other member come before";
    EXPECT_TRUE(two.queue.held_back());
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_ledger, a_clients_next_request_does_not_overtake_one_that_is_held_back) {
    engine_side one(table_, limits_of(0, 1));
    engine_side two(table_, limits_of(0, 1));
    EXPECT_EQ(one.enter("a"), answer::admitted);
    EXPECT_EQ(two.enter("a"), answer::waits);
    one.leave(0);
    EXPECT_EQ(two.enter("a"), answer::waits);
    EXPECT_EQ(two.recheck(), 1);
    EXPECT_EQ(two.entries[0].admission_state(), entry::state::admitted);
}

} // namespace
} // namespace dlhandoff::test
