// Limits that hold over several engines.
#include "tests/unit/engine/limits/admission_ledger_fixture.hpp"

namespace dlhandoff::test {
namespace {

TEST_F(admission_ledger, transfers_of_all_members_are_limited_together) {
    engine_side one(table_, limits_of(2));
    engine_side two(table_, limits_of(2));
    EXPECT_EQ(one.enter("a"), answer::admitted);
    EXPECT_EQ(two.enter("b"), answer::admitted);
    EXPECT_EQ(two.enter("c"), answer::waits);
    EXPECT_TRUE(two.queue.held_back());
    EXPECT_EQ(two.recheck(), 0);
    one.leave(0);
    EXPECT_EQ(two.start(), 0) << "nobody has told it yet";
    EXPECT_EQ(two.recheck(), 1);
    EXPECT_FALSE(two.queue.held_back());
}

TEST_F(admission_ledger, own_places_that_are_left_are_taken_at_once) {
    engine_side one(table_, limits_of(2));
    engine_side two(table_, limits_of(2));
    EXPECT_EQ(one.enter("a"), answer::admitted);
    EXPECT_EQ(two.enter("b"), answer::admitted);
    EXPECT_EQ(two.enter("c"), answer::waits);
    two.leave(0);
    EXPECT_EQ(two.start(), 1);
}

TEST_F(admission_ledger, a_class_is_limited_over_all_members_and_others_go_on) {
    auto limits = limits_of(0);
    limits.classes[1].own.transfers = 1;
    engine_side one(table_, limits);
    engine_side two(table_, limits);
    EXPECT_EQ(one.enter("a", 1), answer::admitted);
    EXPECT_EQ(two.enter("b", 1), answer::waits);
    EXPECT_EQ(two.enter("b", 0), answer::admitted);
    EXPECT_EQ(two.recheck(), 0);
    EXPECT_TRUE(two.queue.held_back());
    one.leave(0);
    EXPECT_EQ(two.recheck(), 1);
    EXPECT_FALSE(two.queue.held_back());
}

TEST_F(admission_ledger, a_client_is_limited_over_all_members_and_others_go_on) {
    engine_side one(table_, limits_of(0, 1));
    engine_side two(table_, limits_of(0, 1));
    EXPECT_EQ(one.enter("a", 0), answer::admitted);
    EXPECT_EQ(two.enter("a", 1), answer::waits);
    EXPECT_EQ(two.enter("b", 1), answer::admitted);
    EXPECT_EQ(two.recheck(), 0);
    EXPECT_TRUE(two.queue.held_back());
    one.leave(0);
    EXPECT_EQ(two.recheck(), 1);
    EXPECT_FALSE(two.queue.held_back());
}

TEST_F(admission_ledger, a_client_is_limited_within_a_class_over_all_members) {
    auto limits = limits_of(0);
    limits.classes[1].own.per_client = 1;
    engine_side one(table_, limits);
    engine_side two(table_, limits);
    EXPECT_EQ(one.enter("a", 1), answer::admitted);
    EXPECT_EQ(two.enter("a", 0), answer::admitted);
    EXPECT_EQ(two.enter("a", 1), answer::waits);
    one.leave(0);
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_ledger, the_queue_is_limited_over_all_members) {
    auto limits = limits_of(1);
    limits.all.queue = 2;
    limits.classes[1].own.queue = 1;
    engine_side one(table_, limits);
    engine_side two(table_, limits);
    EXPECT_EQ(one.enter("a"), answer::admitted);
    EXPECT_EQ(one.enter("b", 1), answer::waits);
    EXPECT_EQ(two.enter("c", 1), answer::full) << "the class's queue";
    EXPECT_EQ(two.enter("c", 0), answer::waits);
    EXPECT_EQ(two.enter("d", 0), answer::full) << "the queue of all";
    EXPECT_EQ(one.member.others().waiting, 1U) << "who was refused is not counted";
    one.leave(1);
    EXPECT_EQ(two.enter("d", 0), answer::waits);
}

TEST_F(admission_ledger, who_may_not_wait_is_refused_and_leaves_nothing_held_back) {
    auto limits = limits_of(1);
    limits.all.queue = 0;
    engine_side one(table_, limits);
    engine_side two(table_, limits);
    EXPECT_EQ(one.enter("a"), answer::admitted);
    EXPECT_EQ(two.enter("b"), answer::full);
    EXPECT_FALSE(two.queue.held_back());
    one.leave(0);
    EXPECT_EQ(two.enter("b"), answer::admitted);
}

TEST_F(admission_ledger, what_a_cleared_member_held_is_free) {
    engine_side two(table_, limits_of(2, 1));
    {
        engine_side one(table_, limits_of(2, 1));
        EXPECT_EQ(one.enter("a"), answer::admitted);
        EXPECT_EQ(one.enter("b"), answer::admitted);
        EXPECT_EQ(two.enter("a"), answer::waits);
        one.member.leave();
        EXPECT_EQ(two.recheck(), 1);
        one.member = *table_.join(); // for what its admission still says
    }
}

TEST_F(admission_ledger, counts_move_with_a_class_whose_index_changes) {
    auto limits = limits_of(0);
    limits.classes[1].own.per_client = 1;
    engine_side one(table_, limits);
    engine_side two(table_, limits);
    EXPECT_EQ(one.enter("a", 1), answer::admitted);
    EXPECT_EQ(one.enter("a", 1), answer::waits);
    std::swap(limits.classes[1], limits.classes[2]);
    one.queue.set_limits(limits);
    two.queue.set_limits(limits);
    EXPECT_EQ(two.member.others(1), ledger_member::use{});
    EXPECT_EQ(two.member.others(2), (ledger_member::use{1, 1, 0}));
    EXPECT_EQ(two.enter("a", 2), answer::waits);
    one.queue.set_limits({});
    EXPECT_EQ(two.member.others(0), (ledger_member::use{1, 1, 0}));
    EXPECT_EQ(two.member.others(), (ledger_member::use{1, 1, 0}));
}

} // namespace
} // namespace dlhandoff::test
