// To whom a place goes for which several engines have somebody waiting.
#include "tests/unit/engine/limits/admission_ledger_fixture.hpp"

namespace dlhandoff::test {
namespace {

/// The one place is a's, at one engine; b waits for it at the other.
class admission_places : public admission_ledger {
  protected:
    admission_places() {
        EXPECT_EQ(one.enter("a"), answer::admitted);
        EXPECT_EQ(two.enter("b"), answer::waits);
    }
    engine_side one{table_, limits_of(1)};
    engine_side two{table_, limits_of(1)};
};

TEST_F(admission_places, a_place_is_left_to_who_has_waited_longer_elsewhere) {
    one.now = two.now += 1ms;
    EXPECT_EQ(one.enter("c"), answer::waits);
    one.leave(0);
    EXPECT_EQ(one.start(), 0) << "b came before c";
    EXPECT_TRUE(one.queue.held_back());
    EXPECT_EQ(one.recheck(), 0);
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_places, a_place_that_nobody_takes_is_not_left_for_ever) {
    one.now += 1s;
    EXPECT_EQ(one.enter("c"), answer::waits);
    one.now += 1s;
    one.leave(0);
    EXPECT_EQ(one.start(), 0) << "the time counts from when there is a place";
    one.now += 49ms;
    EXPECT_EQ(one.recheck(), 0);
    one.now += 1ms;
    EXPECT_EQ(one.recheck(), 1);
}

TEST_F(admission_places, a_member_that_does_not_take_its_place_is_waited_for_once) {
    one.now += 1s;
    EXPECT_EQ(one.enter("c"), answer::waits);
    EXPECT_EQ(one.enter("d"), answer::waits);
    one.leave(0);
    EXPECT_EQ(one.start(), 0);
    one.now += 50ms;
    EXPECT_EQ(one.recheck(), 1);
    EXPECT_EQ(one.recheck(), 0) << "no place";
    one.leave(1);
    EXPECT_EQ(one.start(), 1) << "b has had its time";
    one.leave(2);
    EXPECT_EQ(two.recheck(), 1) << "it is still there";
}

TEST_F(admission_places, patience_begins_anew_with_each_place_that_is_left) {
    engine_side three(table_, limits_of(1));
    one.now += 1ms;
    EXPECT_EQ(one.enter("c"), answer::waits);
    one.leave(0);
    EXPECT_EQ(one.start(), 0) << "left to b";
    EXPECT_EQ(three.enter("d", 2), answer::admitted) << "more urgent than both";
    EXPECT_EQ(one.recheck(), 0) << "no place";
    one.now += 1s;
    three.leave(0);
    EXPECT_EQ(one.recheck(), 0) << "left to b, again";
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_ledger, only_one_place_is_left_to_each_other_member) {
    engine_side one(table_, limits_of(3));
    engine_side two(table_, limits_of(3));
    for (const char* client : {"a", "b", "c"})
        EXPECT_EQ(one.enter(client), answer::admitted);
    EXPECT_EQ(two.enter("d"), answer::waits);
    one.now += 1ms;
    for (const char* client : {"e", "f", "g"})
        EXPECT_EQ(one.enter(client), answer::waits);
    for (std::size_t i = 0; i < 3; ++i)
        one.leave(i);
    EXPECT_EQ(one.start(), 2);
    EXPECT_EQ(two.recheck(), 1);
}

TEST_F(admission_places, priority_counts_before_time_between_members) {
    one.now += 1ms;
    EXPECT_EQ(one.enter("c", 2), answer::waits);
    one.leave(0);
    EXPECT_EQ(one.start(), 1);
}

TEST_F(admission_places, a_newcomer_does_not_overtake_who_waits_elsewhere) {
    one.leave(0);
    one.now += 1ms;
    EXPECT_EQ(one.enter("c"), answer::waits);
    EXPECT_EQ(two.recheck(), 1);
}

} // namespace
} // namespace dlhandoff::test
