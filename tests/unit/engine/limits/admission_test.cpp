// Who may send, who waits, and who is next.
#include "tests/unit/engine/limits/admission_fixture.hpp"

namespace dlhandoff::test {
namespace {

TEST_F(admission_test, without_limits_everybody_starts) {
    with({});
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(add("client", 0, i).admission_state(), state::admitted);
    EXPECT_EQ(queue_->active(), 1000U);
    EXPECT_EQ(start(), "-");
}

TEST_F(admission_test, all_together_are_limited) {
    limit_table limits;
    limits.all.transfers = 2;
    with(limits);
    auto& first = make("first");
    EXPECT_EQ(enter(first, "a"), answer::admitted);
    EXPECT_EQ(add("b").admission_state(), state::admitted);
    EXPECT_EQ(add("c").admission_state(), state::waiting);
    EXPECT_EQ(start(), "-");
    queue_->leave(first);
    EXPECT_EQ(start(), "c/0/0");
    EXPECT_EQ(start(), "-");
    EXPECT_EQ(queue_->active(), 2U);
}

TEST_F(admission_test, a_class_is_limited_and_others_go_on) {
    limit_table limits;
    limits.classes = {a_class("default"), a_class("bulk")};
    limits.classes[1].own.transfers = 1;
    with(limits);
    auto& bulk = add("a", 1);
    EXPECT_EQ(add("b", 1).admission_state(), state::waiting);
    EXPECT_EQ(add("b", 0).admission_state(), state::admitted);
    EXPECT_EQ(queue_->active(1), 1U);
    EXPECT_EQ(queue_->waiting(1), 1U);
    EXPECT_EQ(start(), "-");
    queue_->leave(bulk);
    EXPECT_EQ(start(), "b/1/0");
}

TEST_F(admission_test, a_client_is_limited_over_all_classes) {
    limit_table limits;
    limits.all.per_client = 1;
    limits.classes = {a_class("default"), a_class("bulk")};
    with(limits);
    auto& first = add("a", 0);
    EXPECT_EQ(add("a", 1).admission_state(), state::waiting);
    EXPECT_EQ(add("b", 1).admission_state(), state::admitted) << "another client is not concerned";
    EXPECT_EQ(start(), "-");
    queue_->leave(first);
    EXPECT_EQ(start(), "a/1/0");
}

TEST_F(admission_test, a_client_is_limited_within_a_class) {
    limit_table limits;
    limits.classes = {a_class("default"), a_class("bulk")};
    limits.classes[1].own.per_client = 1;
    with(limits);
    auto& first = add("a", 1);
    EXPECT_EQ(add("a", 1, 1).admission_state(), state::waiting);
    EXPECT_EQ(add("a", 0).admission_state(), state::admitted);
    EXPECT_EQ(start(), "-");
    queue_->leave(first);
    EXPECT_EQ(start(), "a/1/1");
}

TEST_F(admission_test, the_queue_of_all_is_limited) {
    auto limits = one_at_a_time();
    limits.all.queue = 2;
    with(limits);
    auto& running = add("a");
    EXPECT_EQ(add("b").admission_state(), state::waiting);
    auto& last = add("c");
    EXPECT_EQ(last.admission_state(), state::waiting);
    EXPECT_EQ(add("d").admission_state(), state::out);
    EXPECT_EQ(queue_->clients(), 3U) << "who was refused is not remembered";
    queue_->leave(last);
    EXPECT_EQ(add("e").admission_state(), state::waiting);
    queue_->leave(running);
}

TEST_F(admission_test, the_queue_of_a_class_is_limited) {
    auto limits = one_at_a_time({a_class("default"), a_class("bulk")});
    limits.classes[1].own.queue = 1;
    with(limits);
    add("a");
    EXPECT_EQ(add("b", 1).admission_state(), state::waiting);
    EXPECT_EQ(add("c", 1).admission_state(), state::out);
    EXPECT_EQ(add("c", 0).admission_state(), state::waiting);
}

TEST_F(admission_test, a_queue_of_0_lets_nobody_wait) {
    auto limits = one_at_a_time();
    limits.all.queue = 0;
    with(limits);
    auto& running = add("a");
    EXPECT_EQ(running.admission_state(), state::admitted);
    EXPECT_EQ(add("b").admission_state(), state::out);
    queue_->leave(running);
    EXPECT_EQ(add("c").admission_state(), state::admitted);
}

TEST_F(admission_test, a_class_that_is_not_there_is_the_default) {
    with(one_at_a_time());
    EXPECT_EQ(add("a", 7).class_index(), 0U);
    EXPECT_EQ(queue_->active(0), 1U);
}

TEST_F(admission_test, a_request_tells_class_and_client) {
    with(one_at_a_time({a_class("default"), a_class("bulk")}));
    add("a");
    auto& waiting = add("192.0.2.1, with some more text", 1);
    EXPECT_EQ(waiting.class_index(), 1U);
    EXPECT_EQ(waiting.client_key(), "192.0.2.1, with some more text");
}

TEST_F(admission_test, first_come_first_served_within_a_client) {
    with(one_at_a_time());
    auto& running = add("a");
    for (int i = 1; i <= 3; ++i)
        add("a", 0, i);
    EXPECT_EQ(drain(&running), (names{"a/0/1", "a/0/2", "a/0/3"}));
}

TEST_F(admission_test, clients_take_turns) {
    with(one_at_a_time());
    auto& running = add("x");
    for (int i = 1; i <= 3; ++i)
        add("a", 0, i);
    add("b", 0, 1);
    add("b", 0, 2);
    add("c", 0, 1);
    EXPECT_EQ(drain(&running), (names{"a/0/1", "b/0/1", "c/0/1", "a/0/2", "b/0/2", "a/0/3"}));
}

TEST_F(admission_test, a_client_with_a_hundred_keeps_ten_with_one_each_waiting_for_one_turn_only) {
    with(one_at_a_time());
    auto& running = add("x");
    for (int i = 0; i < 100; ++i)
        add("greedy", 0, i);
    for (int i = 0; i < 10; ++i)
        add("modest" + std::to_string(i));
    const auto order = drain(&running);
    ASSERT_EQ(order.size(), 110U);
    EXPECT_EQ(order[0], "greedy/0/0");
    for (std::size_t i = 0; i < 10; ++i)
        EXPECT_EQ(order[i + 1], "modest" + std::to_string(i) + "/0/0");
    EXPECT_EQ(order[11], "greedy/0/1");
}

TEST_F(admission_test, higher_priority_first) {
    with(one_at_a_time({a_class("default"), a_class("urgent", 1, 5), a_class("bulk", 100, -5)}));
    auto& running = add("x");
    add("a", 2);
    add("b", 0);
    add("c", 1);
    add("d", 1);
    EXPECT_EQ(drain(&running), (names{"c/1/0", "d/1/0", "b/0/0", "a/2/0"}));
}

TEST_F(admission_test, weights_of_3_to_1_are_served_3_to_1) {
    with(one_at_a_time({a_class("default"), a_class("heavy", 3)}));
    auto& running = add("x");
    for (int i = 0; i < 3000; ++i) {
        add("a", 0, i);
        add("b", 1, i);
    }
    const auto order = drain(&running);
    // All the way, not only on the whole: in any 40 starts one after the other while both wait.
    for (std::size_t from = 0; from + 40 < 3900; from += 40) {
        std::ptrdiff_t heavy = 0;
        for (std::size_t i = from; i < from + 40; ++i)
            heavy += order[i][0] == 'b';
        ASSERT_NEAR(static_cast<double>(heavy), 30, 1) << "from start " << from;
    }
}

TEST_F(admission_test, thousands_of_turns_by_weight_keep_their_pattern) {
    with(one_at_a_time({a_class("default"), a_class("heavy", 4)}));
    auto& running = add("x");
    for (int i = 0; i < 2000; ++i) {
        add("a", 0, i);
        for (int j = 0; j < 4; ++j)
            add("b", 1, i * 4 + j);
    }
    const auto order = drain(&running);
    ASSERT_EQ(order.size(), 10'000U);
    for (std::size_t i = 5; i < 9'990; ++i)
        ASSERT_EQ(order[i][0], order[i - 5][0]) << "at start " << i;
}

TEST_F(admission_test, a_class_gets_no_credit_for_when_nobody_waited_there) {
    with(one_at_a_time({a_class("default"), a_class("other")}));
    auto* running = &add("x");
    for (int i = 0; i < 200; ++i)
        add("a", 0, i);
    for (int i = 0; i < 100; ++i) {
        queue_->leave(*running);
        running = static_cast<download*>(queue_->next(now_));
    }
    for (int i = 0; i < 100; ++i)
        add("b", 1, i);
    const auto order = drain(running);
    std::ptrdiff_t others = 0;
    for (std::size_t i = 0; i < 20; ++i)
        others += order[i][0] == 'b';
    EXPECT_EQ(others, 10) << "they take turns at once; nothing is caught up on";
}

TEST_F(admission_test, a_newcomer_does_not_overtake_who_could_start) {
    with(one_at_a_time());
    auto& running = add("a");
    add("b");
    queue_->leave(running);
    EXPECT_EQ(add("c").admission_state(), state::waiting) << "there is room, but b waits";
    EXPECT_EQ(start(), "b/0/0");
}

TEST_F(admission_test, a_newcomer_may_pass_by_those_who_could_not_start) {
    limit_table limits;
    limits.all.per_client = 1;
    with(limits);
    add("a");
    add("a", 0, 1);
    EXPECT_EQ(add("b").admission_state(), state::admitted);
}

TEST_F(admission_test, one_that_waits_may_leave) {
    with(one_at_a_time());
    auto& running = add("x");
    add("a", 0, 1);
    auto& leaves = add("b", 0, 1);
    auto& leaves_too = add("a", 0, 2);
    add("a", 0, 3);
    queue_->leave(leaves);
    queue_->leave(leaves_too);
    EXPECT_EQ(leaves.admission_state(), state::out);
    queue_->leave(leaves); // once more does nothing
    EXPECT_EQ(queue_->waiting(), 2U);
    EXPECT_EQ(queue_->clients(), 2U);
    EXPECT_EQ(drain(&running), (names{"a/0/1", "a/0/3"}));
}

TEST_F(admission_test, a_client_at_its_limit_comes_back_at_the_tail) {
    limit_table limits;
    limits.all.transfers = 2;
    limits.all.per_client = 1;
    with(limits);
    auto& of_a = add("a");
    auto& of_b = add("b");
    add("a", 0, 1);
    add("c");
    add("d");
    EXPECT_EQ(start(), "-");
    queue_->leave(of_a); // a's next comes behind c and d
    EXPECT_EQ(start(), "c/0/0");
    queue_->leave(of_b);
    EXPECT_EQ(start(), "d/0/0");
    EXPECT_EQ(start(), "-");
}

TEST_F(admission_test, a_hundred_thousand_are_served_in_the_right_order) {
    auto limits = one_at_a_time();
    limits.all.queue = limits.classes[0].own.queue = 200'000;
    with(limits);
    auto& running = make("x");
    enter(running, "x");
    constexpr int clients = 50'000;
    for (int i = 0; i < 2 * clients; ++i)
        enter(make(std::to_string(i)), "client" + std::to_string(i / 2));
    EXPECT_EQ(queue_->waiting(), 100'000U);
    EXPECT_EQ(queue_->clients(), 50'001U);
    const auto order = drain(&running);
    ASSERT_EQ(order.size(), 100'000U);
    for (std::size_t i = 0; i < clients; ++i) {
        ASSERT_EQ(order[i], std::to_string(2 * i)) << "the first of each client";
        ASSERT_EQ(order[clients + i], std::to_string(2 * i + 1)) << "the second of each client";
    }
}

} // namespace
} // namespace dlhandoff::test
