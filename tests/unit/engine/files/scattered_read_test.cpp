#include "engine/files/scattered_read.hpp"

#include "engine/files/file_table.hpp"
#include "tests/unit/engine/download.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::file_reference;
using engine::scattered_read;

struct scattered_read_test : testing::Test {
    sample_file sample{100'000};
    engine::file_table table;
    file_reference file = table.adopt(sample.identity(), sample.open());
    scattered_read reads;
    std::vector<std::uint8_t> memory = std::vector<std::uint8_t>(100'000);

    std::span<std::uint8_t> place(std::size_t at, std::size_t size) {
        return std::span(memory).subspan(at, size);
    }
    void expect_bytes(std::size_t at, std::size_t offset, std::size_t size) {
        EXPECT_EQ(std::string(memory.begin() + static_cast<std::ptrdiff_t>(at),
                              memory.begin() + static_cast<std::ptrdiff_t>(at + size)),
                  sample.content().substr(offset, size));
    }
};

TEST_F(scattered_read_test, what_follows_goes_to_its_places_and_the_gaps_stay) {
    ASSERT_TRUE(reads.add(*file, 5000, place(10, 20'000)));
    ASSERT_TRUE(reads.add(*file, 25'000, place(20'030, 1)));
    ASSERT_TRUE(reads.add(*file, 25'001, place(50'000, 40'000)));
    ASSERT_EQ(reads.read(), scattered_read::result::read);
    expect_bytes(10, 5000, 20'000);
    expect_bytes(20'030, 25'000, 1);
    expect_bytes(50'000, 25'001, 40'000);
    for (const std::size_t gap : {0UL, 9UL, 20'010UL, 20'029UL, 20'031UL, 49'999UL, 90'000UL})
        EXPECT_EQ(memory[gap], 0) << gap;
    EXPECT_EQ(reads.read(), scattered_read::result::read); // nothing
}

TEST_F(scattered_read_test, what_does_not_follow_is_for_the_next_read) {
    const file_reference other_file = [&] {
        const sample_file other(1000);
        return table.adopt(other.identity(), other.open());
    }();
    ASSERT_TRUE(reads.add(*file, 0, place(0, 100)));
    EXPECT_FALSE(reads.add(*file, 101, place(100, 100)));
    EXPECT_FALSE(reads.add(*file, 0, place(100, 100)));
    EXPECT_FALSE(reads.add(*other_file, 100, place(100, 100)));
    ASSERT_EQ(reads.read(), scattered_read::result::read);
    EXPECT_TRUE(reads.add(*file, 50'000, place(100, 100)));
    ASSERT_EQ(reads.read(), scattered_read::result::read);
    expect_bytes(0, 0, 100);
    expect_bytes(100, 50'000, 100);
}

TEST_F(scattered_read_test, places_are_bounded) {
    std::size_t count = 0;
    while (count < 1000 && reads.add(*file, count, place(2 * count, 1)))
        ++count;
    EXPECT_GE(count, 16U); // a batch of records
    EXPECT_LT(count, 1000U);
    ASSERT_EQ(reads.read(), scattered_read::result::read);
    expect_bytes(2 * (count - 1), count - 1, 1);
}

TEST_F(scattered_read_test, a_changed_file_is_not_read) {
    ASSERT_EQ(::truncate(sample.path().c_str(), 50'000), 0);
    ASSERT_TRUE(reads.add(*file, 0, place(0, 100)));
    EXPECT_EQ(reads.read(), scattered_read::result::changed);
    EXPECT_EQ(memory[1], 0);
}

TEST_F(scattered_read_test, a_file_that_ends_too_early_is_a_changed_one) {
    ASSERT_TRUE(reads.add(*file, 99'990, place(0, 5)));
    ASSERT_TRUE(reads.add(*file, 99'995, place(5, 6)));
    EXPECT_EQ(reads.read(), scattered_read::result::changed);
}

} // namespace
} // namespace dlhandoff::test
