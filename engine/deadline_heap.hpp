#pragma once

#include "engine/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace dlhandoff::engine {

/// Base class of the elements of a deadline_heap.
struct deadline_hook {
    static constexpr std::uint32_t absent = std::numeric_limits<std::uint32_t>::max();
    clock::time_point deadline;
    std::uint32_t heap_index = absent;
};

/// Deadlines, the earliest first: a binary heap of borrowed elements. Each knows its place in the heap, so it
/// can be moved or taken out in O(log n). `T` derives from deadline_hook. Remove an element before it is
/// destroyed.
template <class T>
class deadline_heap {
  public:
    [[nodiscard]] bool empty() const noexcept { return elements_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return elements_.size(); }
    [[nodiscard]] T& earliest() const noexcept { return *elements_.front(); }

    /// Makes room for so many elements, so that set() does not allocate until there are more. Throws
    /// std::bad_alloc.
    void reserve(std::size_t count) {
        if (count > elements_.capacity())
            elements_.reserve(std::max(count, 2 * elements_.capacity()));
    }

    /// Puts the element in, or moves it if it is there already. Throws std::bad_alloc, with no effect.
    void set(T& element, clock::time_point deadline) {
        if (element.heap_index == deadline_hook::absent) {
            elements_.push_back(&element);
            element.heap_index = static_cast<std::uint32_t>(elements_.size() - 1);
        }
        element.deadline = deadline;
        sift_down(sift_up(element.heap_index));
    }

    /// Does nothing if the element is not there.
    void remove(T& element) noexcept {
        const std::size_t index = std::exchange(element.heap_index, deadline_hook::absent);
        if (index == deadline_hook::absent)
            return;
        T* last = elements_.back();
        elements_.pop_back();
        if (last != &element) {
            place(index, last);
            sift_down(sift_up(index));
        }
    }

  private:
    void place(std::size_t index, T* element) noexcept {
        elements_[index] = element;
        element->heap_index = static_cast<std::uint32_t>(index);
    }

    std::size_t sift_up(std::size_t index) noexcept {
        T* moving = elements_[index];
        while (index > 0 && moving->deadline < elements_[(index - 1) / 2]->deadline) {
            place(index, elements_[(index - 1) / 2]);
            index = (index - 1) / 2;
        }
        place(index, moving);
        return index;
    }

    void sift_down(std::size_t index) noexcept {
        T* moving = elements_[index];
        for (;;) {
            std::size_t child = 2 * index + 1;
            if (child >= elements_.size())
                break;
            if (child + 1 < elements_.size() && elements_[child + 1]->deadline < elements_[child]->deadline)
                ++child;
            if (!(elements_[child]->deadline < moving->deadline))
                break;
            place(index, elements_[child]);
            index = child;
        }
        place(index, moving);
    }

    std::vector<T*> elements_;
};

} // namespace dlhandoff::engine
