#include "mod_dlhandoff/memory_bucket.hpp"

#include <apr_general.h>
#include <apr_mmap.h>
#include <apr_pools.h>
#include <gtest/gtest.h>

namespace dlhandoff::httpd {
namespace {

class memory_bucket : public ::testing::Test {
  protected:
    memory_bucket() {
        apr_initialize();
        apr_pool_create(&pool, nullptr);
        buckets = apr_bucket_alloc_create(pool);
    }
    ~memory_bucket() override {
        apr_pool_destroy(pool);
        apr_terminate();
    }
    /// Sixteen bytes in the file system.
    [[nodiscard]] apr_file_t* make_file() const {
        apr_file_t* file = nullptr;
        char name[] = "/tmp/dlhandoff-bucket-XXXXXX";
        EXPECT_EQ(apr_file_mktemp(&file, name, 0, pool), APR_SUCCESS); // gone with the pool
        EXPECT_EQ(apr_file_write_full(file, "sixteen bytes...", 16, nullptr), APR_SUCCESS);
        return file;
    }

    apr_pool_t* pool = nullptr;
    apr_bucket_alloc_t* buckets = nullptr;
};

TEST_F(memory_bucket, is_every_bucket_whose_data_is_there_already) {
    EXPECT_TRUE(is_memory(apr_bucket_heap_create("text", 4, nullptr, buckets)));
    EXPECT_TRUE(is_memory(apr_bucket_pool_create("text", 4, pool, buckets)));
    EXPECT_TRUE(is_memory(apr_bucket_transient_create("text", 4, buckets)));
    EXPECT_TRUE(is_memory(apr_bucket_immortal_create("text", 4, buckets)));
}

TEST_F(memory_bucket, is_a_mapped_part_of_a_file) {
    apr_mmap_t* mapped = nullptr;
    ASSERT_EQ(apr_mmap_create(&mapped, make_file(), 0, 16, APR_MMAP_READ, pool), APR_SUCCESS);
    apr_bucket* const bucket = apr_bucket_mmap_create(mapped, 0, 16, buckets);
    EXPECT_TRUE(is_memory(bucket));
    apr_bucket_destroy(bucket);
}

TEST_F(memory_bucket, is_neither_a_file_nor_a_mark) {
    EXPECT_FALSE(is_memory(apr_bucket_file_create(make_file(), 0, 16, pool, buckets)));
    EXPECT_FALSE(is_memory(apr_bucket_eos_create(buckets)));
    EXPECT_FALSE(is_memory(apr_bucket_flush_create(buckets)));
}

} // namespace
} // namespace dlhandoff::httpd
