// What becomes of those that wait, and of those that are sent, when the limits change.
#include "tests/unit/engine/limits/admission_fixture.hpp"

namespace dlhandoff::test {
namespace {

using admission_limits_test = admission_test;

TEST_F(admission_limits_test, raised_limits_let_waiting_ones_start) {
    auto limits = one_at_a_time();
    with(limits);
    add("a");
    add("b");
    add("b", 0, 1);
    add("c");
    limits.all.transfers = 3;
    queue_->set_limits(limits);
    EXPECT_EQ(start(), "b/0/0");
    EXPECT_EQ(start(), "c/0/0");
    EXPECT_EQ(start(), "-");
    limits.all.transfers = 0;
    queue_->set_limits(limits);
    EXPECT_EQ(start(), "b/0/1");
}

TEST_F(admission_limits_test, a_raised_per_client_limit_lets_waiting_ones_start) {
    limit_table limits;
    limits.classes[0].own.per_client = 1;
    with(limits);
    add("a");
    add("a", 0, 1);
    EXPECT_EQ(start(), "-");
    limits.classes[0].own.per_client = 2;
    queue_->set_limits(limits);
    EXPECT_EQ(start(), "a/0/1");
}

TEST_F(admission_limits_test, lowered_limits_stop_new_starts_and_end_nothing) {
    limit_table limits;
    with(limits);
    auto& first = add("a");
    auto& second = add("a", 0, 1);
    limits.all.per_client = 1;
    queue_->set_limits(limits);
    EXPECT_EQ(queue_->active(), 2U);
    EXPECT_EQ(add("a", 0, 2).admission_state(), state::waiting);
    queue_->leave(first);
    EXPECT_EQ(start(), "-");
    queue_->leave(second);
    EXPECT_EQ(start(), "a/0/2");
}

TEST_F(admission_limits_test, a_lowered_limit_holds_for_those_who_wait_already) {
    limit_table limits = one_at_a_time();
    with(limits);
    auto& running = add("a");
    add("a", 0, 1);
    add("a", 0, 2);
    limits.all.transfers = 5;
    limits.all.per_client = 1;
    queue_->set_limits(limits);
    EXPECT_EQ(start(), "-");
    queue_->leave(running);
    EXPECT_EQ(start(), "a/0/1");
    EXPECT_EQ(start(), "-");
}

TEST_F(admission_limits_test, a_lowered_queue_sends_nobody_away) {
    auto limits = one_at_a_time();
    with(limits);
    auto& running = add("a");
    add("b");
    add("c");
    limits.all.queue = 1;
    queue_->set_limits(limits);
    EXPECT_EQ(queue_->waiting(), 2U);
    EXPECT_EQ(add("d").admission_state(), state::out);
    EXPECT_EQ(drain(&running), (names{"b/0/0", "c/0/0"}));
}

TEST_F(admission_limits_test, classes_are_kept_by_name) {
    with(one_at_a_time({a_class("default"), a_class("one"), a_class("two")}));
    auto& running = add("x", 1);
    auto& waiting = add("a", 2);
    queue_->set_limits(one_at_a_time({a_class("default"), a_class("new"), a_class("two"), a_class("one")}));
    EXPECT_EQ(running.class_index(), 3U);
    EXPECT_EQ(waiting.class_index(), 2U);
    EXPECT_EQ(queue_->active(3), 1U);
    EXPECT_EQ(queue_->waiting(2), 1U);
    EXPECT_EQ(queue_->active(1) + queue_->waiting(1), 0U);
    EXPECT_EQ(drain(&running), (names{"a/2/0"}));
}

TEST_F(admission_limits_test, requests_of_a_class_that_is_gone_go_over_to_the_default) {
    with(one_at_a_time({a_class("default"), a_class("gone")}));
    auto& running = add("x", 1);
    add("a", 0, 1);
    add("a", 1, 2); // merges with what a has in the default, in order of coming
    add("a", 0, 3);
    add("b", 1, 1);
    queue_->set_limits(one_at_a_time());
    EXPECT_EQ(queue_->active(0), 1U);
    EXPECT_EQ(queue_->waiting(0), 4U);
    EXPECT_EQ(running.class_index(), 0U);
    EXPECT_EQ(drain(&running), (names{"a/0/1", "b/1/1", "a/1/2", "a/0/3"}));
}

TEST_F(admission_limits_test, what_a_client_has_in_a_class_that_is_gone_counts_in_the_default) {
    limit_table limits;
    limits.classes = {a_class("default"), a_class("gone")};
    with(limits);
    auto& first = add("a", 0);
    auto& second = add("a", 1);
    limits.classes = {a_class("default")};
    limits.classes[0].own.per_client = 2;
    queue_->set_limits(limits);
    EXPECT_EQ(add("a", 0, 1).admission_state(), state::waiting);
    queue_->leave(second);
    EXPECT_EQ(start(), "a/0/1");
    queue_->leave(first);
}

std::string refusal_of(const limit_table& limits) {
    try {
        admission refused(limits);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "none";
}

TEST_F(admission_limits_test, refuses_tables_that_it_cannot_keep) {
    limit_table limits;
    limits.classes.clear();
    EXPECT_EQ(refusal_of(limits), "limits: 0 classes; allowed are 1 to 64");
    for (int i = 0; i < 65; ++i)
        limits.classes.push_back(a_class("c" + std::to_string(i)));
    EXPECT_EQ(refusal_of(limits), "limits: 65 classes; allowed are 1 to 64");
    EXPECT_EQ(refusal_of(one_at_a_time({a_class("default"), a_class("a", 0)})),
              "limits: class \"a\" has weight 0; allowed is 1 or more");
    EXPECT_EQ(refusal_of(one_at_a_time({a_class("default"), a_class("a"), a_class("a")})),
              "limits: there are two classes \"a\"");
}

TEST_F(admission_limits_test, a_refused_table_changes_nothing) {
    with(one_at_a_time());
    auto& running = add("a");
    add("b");
    EXPECT_THROW(queue_->set_limits(one_at_a_time({a_class("default", 0)})), std::invalid_argument);
    EXPECT_EQ(start(), "-");
    EXPECT_EQ(drain(&running), (names{"b/0/0"}));
}

} // namespace
} // namespace dlhandoff::test
