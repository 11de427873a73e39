#include "tests/unit/engine/memory_shortage.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

constexpr int plenty = -1;
thread_local int left = plenty;
thread_local bool was_felt = false;

} // namespace

void* operator new(std::size_t size) {
    if (left == 0) {
        was_felt = true;
        throw std::bad_alloc();
    }
    left -= left > 0 ? 1 : 0;
    if (void* const memory = std::malloc(size != 0 ? size : 1))
        return memory;
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace dlhandoff::test {

memory_shortage::memory_shortage(int after) noexcept {
    left = after;
    was_felt = false;
}

memory_shortage::~memory_shortage() {
    left = plenty;
}

bool memory_shortage::felt() noexcept {
    return was_felt;
}

} // namespace dlhandoff::test
