#include "engine/limits/fair_tree.hpp"

#include <gtest/gtest.h>
#include <map>

namespace dlhandoff::test {
namespace {

using namespace std::chrono_literals;
using engine::fair_item;
using engine::fair_node;
using engine::fair_tree;

/// Two classes of two leaves each.
struct fair_tree_test : testing::Test {
    fair_tree_test() {
        for (fair_node& one : classes)
            one.parent = &tree.root;
        for (int i = 0; i < 4; ++i)
            leaves[i].parent = &classes[i / 2];
    }
    ~fair_tree_test() override {
        for (fair_item& one : leaves)
            tree.dequeue(one);
        for (fair_node& one : classes)
            tree.dequeue(one);
    }
    /// Serves so many times, 100 bytes each; how often it was each leaf's turn.
    std::map<const fair_item*, int> serve(int times) {
        std::map<const fair_item*, int> turns;
        for (int i = 0; i < times && tree.can_serve(); ++i) {
            fair_item& next = tree.first();
            ++turns[&next];
            tree.charge(next, 100);
            tree.charge(*next.parent, 100);
        }
        return turns;
    }

    fair_tree tree;
    fair_node classes[2];
    fair_item leaves[4];
    const engine::clock::time_point now{1h};
};

TEST_F(fair_tree_test, serves_nobody_while_nobody_waits) {
    EXPECT_FALSE(tree.can_serve());
    tree.enqueue(leaves[0]);
    EXPECT_TRUE(tree.can_serve());
    EXPECT_EQ(&tree.first(), &leaves[0]);
    tree.dequeue(leaves[0]);
    EXPECT_FALSE(tree.can_serve());
    EXPECT_FALSE(classes[0].is_queued());
}

TEST_F(fair_tree_test, divides_equally_at_each_level) {
    for (int i = 0; i < 3; ++i) // the second class has one leaf only
        tree.enqueue(leaves[i]);
    auto turns = serve(400);
    EXPECT_EQ(turns[&leaves[0]], 100);
    EXPECT_EQ(turns[&leaves[1]], 100);
    EXPECT_EQ(turns[&leaves[2]], 200);
}

TEST_F(fair_tree_test, divides_by_weight) {
    classes[0].weight = 3;
    tree.enqueue(leaves[0]);
    tree.enqueue(leaves[2]);
    auto turns = serve(400);
    EXPECT_NEAR(turns[&leaves[0]], 300, 1);
    EXPECT_NEAR(turns[&leaves[2]], 100, 1);
}

TEST_F(fair_tree_test, owes_nothing_to_one_that_was_away) {
    tree.enqueue(leaves[0]);
    (void)serve(100);
    tree.enqueue(leaves[2]);
    auto turns = serve(100);
    EXPECT_NEAR(turns[&leaves[0]], 50, 1);
    EXPECT_NEAR(turns[&leaves[2]], 50, 1);
}

TEST_F(fair_tree_test, gives_back_the_turn_of_what_was_not_used) {
    tree.enqueue(leaves[0]);
    tree.enqueue(leaves[1]);
    fair_item& first = tree.first();
    tree.charge(first, 100);
    EXPECT_NE(&tree.first(), &first);
    tree.refund(first, 100);
    EXPECT_EQ(first.tag, 0);
}

TEST_F(fair_tree_test, passes_over_what_is_held_until_its_time) {
    for (fair_item& one : leaves)
        tree.enqueue(one);
    tree.hold(classes[0], now + 10ms);
    auto turns = serve(100);
    EXPECT_EQ(turns[&leaves[0]] + turns[&leaves[1]], 0);
    EXPECT_EQ(turns[&leaves[2]], 50);
    EXPECT_EQ(tree.next_release(), now + 10ms);
    EXPECT_EQ(tree.release(now + 9ms), nullptr);
    ASSERT_EQ(tree.release(now + 10ms), &classes[0]);
    EXPECT_EQ(tree.next_release(), engine::clock::time_point::max());
    tree.resume(classes[0]);
    EXPECT_GT(serve(100)[&leaves[0]], 0);
}

TEST_F(fair_tree_test, holds_the_whole_tree_by_its_root) {
    tree.enqueue(leaves[0]);
    tree.hold(tree.root, now + 1s);
    EXPECT_FALSE(tree.can_serve());
    tree.hurry(tree.root, now);
    ASSERT_EQ(tree.release(now), &tree.root);
    EXPECT_TRUE(tree.can_serve());
}

TEST_F(fair_tree_test, holds_no_node_that_nobody_waits_under) {
    tree.enqueue(leaves[0]);
    tree.hold(classes[0], now + 1s);
    tree.dequeue(leaves[0]);
    EXPECT_FALSE(classes[0].waits());
    EXPECT_EQ(tree.next_release(), engine::clock::time_point::max());
}

} // namespace
} // namespace dlhandoff::test
