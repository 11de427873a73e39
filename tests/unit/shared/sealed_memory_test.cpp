#include "shared/sealed_memory.hpp"

#include <algorithm>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

TEST(sealed_memory, is_zero_and_shared_with_whoever_attaches_it) {
    const auto made = sealed_memory::create("test", 10'000);
    ASSERT_EQ(made.size(), 10'000U);
    auto* const bytes = static_cast<unsigned char*>(made.address());
    EXPECT_TRUE(std::all_of(bytes, bytes + made.size(), [](unsigned char byte) { return byte == 0; }));

    const auto attached = sealed_memory::attach(file_descriptor::duplicate_of(made.descriptor()));
    ASSERT_TRUE(attached);
    EXPECT_EQ(attached->size(), made.size());
    EXPECT_EQ(attached->descriptor(), -1);
    bytes[9'999] = 7;
    EXPECT_EQ(static_cast<unsigned char*>(attached->address())[9'999], 7);
}

TEST(sealed_memory, nobody_can_resize_it) {
    const auto made = sealed_memory::create("test", 10'000);
    EXPECT_NE(::ftruncate(made.descriptor(), 100), 0);
    EXPECT_NE(::ftruncate(made.descriptor(), 20'000), 0);
}

TEST(sealed_memory, stays_mapped_without_its_descriptor) {
    auto made = sealed_memory::create("test", 100);
    made.close_descriptor();
    EXPECT_EQ(made.descriptor(), -1);
    *static_cast<char*>(made.address()) = 'x';
    EXPECT_EQ(*static_cast<char*>(made.address()), 'x');
}

TEST(sealed_memory, attaches_nothing_whose_size_could_change) {
    for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_GROW}) {
        file_descriptor other = make_memory_file("test");
        ASSERT_EQ(::ftruncate(other.get(), 10'000), 0);
        ASSERT_EQ(::fcntl(other.get(), F_ADD_SEALS, seals), 0);
        EXPECT_FALSE(sealed_memory::attach(std::move(other))) << seals;
    }
    EXPECT_FALSE(sealed_memory::attach(file_descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC))));
    EXPECT_FALSE(sealed_memory::attach(file_descriptor()));
}

TEST(sealed_memory, attaches_nothing_that_is_empty) {
    file_descriptor empty = make_memory_file("test");
    ASSERT_EQ(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    EXPECT_FALSE(sealed_memory::attach(std::move(empty)));
}

} // namespace
} // namespace dlhandoff::test
