#include "engine/tls/secret_memory.hpp"

#include <cstddef>
#include <new>
#include <sys/mman.h>

namespace dlhandoff::engine {
namespace {

/// Whole pages from the kernel.
class undumped_pages final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t size, std::size_t) override {
        void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            throw std::bad_alloc();
        ::madvise(pages, size, MADV_DONTDUMP);
        ::madvise(pages, size, MADV_WIPEONFORK);
        return pages;
    }
    void do_deallocate(void* pages, std::size_t size, std::size_t) override { ::munmap(pages, size); }
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
        return this == &other;
    }
};

struct secret_pool {
    undumped_pages pages;
    std::pmr::synchronized_pool_resource objects{
        {.max_blocks_per_chunk = 256, .largest_required_pool_block = 1024}, &pages};
};

} // namespace

std::pmr::memory_resource& secret_memory() {
    // Never destroyed: the last transfers may outlive the statics of other sources.
    static secret_pool& pool = *new secret_pool;
    return pool.objects;
}

} // namespace dlhandoff::engine
