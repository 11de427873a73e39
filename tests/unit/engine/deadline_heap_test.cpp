#include "engine/deadline_heap.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

namespace dlhandoff::test {
namespace {

using engine::clock;
using engine::deadline_hook;

struct element : deadline_hook {};

/// The heap beside std::multimap, which has the same order by another way.
class checked_heap {
  public:
    explicit checked_heap(std::size_t elements) : elements_(elements) {}

    void set(std::size_t index, clock::time_point deadline) {
        forget(index);
        model_.emplace(deadline, index);
        heap_.set(elements_[index], deadline);
    }

    void remove(std::size_t index) {
        forget(index);
        heap_.remove(elements_[index]);
        EXPECT_EQ(elements_[index].heap_index, deadline_hook::absent);
    }

    void remove_earliest() {
        if (!heap_.empty())
            remove(static_cast<std::size_t>(&heap_.earliest() - elements_.data()));
    }

    /// What the heap shows of itself agrees with the model.
    void check() const {
        ASSERT_EQ(heap_.empty(), model_.empty());
        if (!model_.empty()) {
            ASSERT_EQ(heap_.earliest().deadline, model_.begin()->first);
        }
    }

  private:
    void forget(std::size_t index) {
        if (elements_[index].heap_index == deadline_hook::absent)
            return;
        const auto [first, last] = model_.equal_range(elements_[index].deadline);
        for (auto at = first; at != last; ++at)
            if (at->second == index) {
                model_.erase(at);
                return;
            }
        ADD_FAILURE() << "element " << index << " is in the heap with a deadline that nobody gave it";
    }

    std::vector<element> elements_;
    engine::deadline_heap<element> heap_;
    std::multimap<clock::time_point, std::size_t> model_;
};

/// `range`: how many different deadlines there are; few of them mean many equal ones.
void play_randomly(unsigned seed, std::size_t elements, int range, int steps) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::size_t> which(0, elements - 1);
    std::uniform_int_distribution<int> when(0, range - 1);
    std::uniform_int_distribution<int> what(0, 9);
    checked_heap heap(elements);
    for (int step = 0; step < steps; ++step) {
        const int choice = what(random);
        if (choice < 5)
            heap.set(which(random), clock::time_point(std::chrono::milliseconds(when(random))));
        else if (choice < 7)
            heap.remove(which(random));
        else
            heap.remove_earliest();
        ASSERT_NO_FATAL_FAILURE(heap.check()) << "seed " << seed << ", step " << step;
    }
}

TEST(deadline_heap, agrees_with_a_multimap_whatever_is_done) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        play_randomly(seed, 3, 4, 500);
        play_randomly(seed, 300, 1'000'000, 3000);
        play_randomly(seed, 300, 5, 3000);
    }
}

TEST(deadline_heap, yields_deadlines_in_their_order) {
    std::mt19937 random(7);
    std::vector<element> elements(1000);
    engine::deadline_heap<element> heap;
    for (element& one : elements)
        heap.set(one, clock::time_point(std::chrono::nanoseconds(random())));
    auto last = clock::time_point::min();
    for (std::size_t left = elements.size(); left > 0; --left) {
        ASSERT_FALSE(heap.empty());
        element& earliest = heap.earliest();
        EXPECT_GE(earliest.deadline, last);
        last = earliest.deadline;
        heap.remove(earliest);
    }
    EXPECT_TRUE(heap.empty());
}

TEST(deadline_heap, removing_what_is_not_there_changes_nothing) {
    engine::deadline_heap<element> heap;
    element in, out;
    heap.set(in, clock::time_point(std::chrono::seconds(1)));
    heap.remove(out);
    EXPECT_EQ(&heap.earliest(), &in);
    heap.remove(in);
    heap.remove(in);
    EXPECT_TRUE(heap.empty());
}

} // namespace
} // namespace dlhandoff::test
