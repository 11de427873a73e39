#include "engine/files/scattered_read.hpp"

#include "engine/files/file_table.hpp"
#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <fcntl.h>
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
    ASSERT_EQ(reads.read(file_check::size), scattered_read::result::read);
    expect_bytes(10, 5000, 20'000);
    expect_bytes(20'030, 25'000, 1);
    expect_bytes(50'000, 25'001, 40'000);
    for (const std::size_t gap : {0UL, 9UL, 20'010UL, 20'029UL, 20'031UL, 49'999UL, 90'000UL})
        EXPECT_EQ(memory[gap], 0) << gap;
    EXPECT_EQ(reads.read(file_check::size), scattered_read::result::read); // nothing
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
    ASSERT_EQ(reads.read(file_check::size), scattered_read::result::read);
    EXPECT_TRUE(reads.add(*file, 50'000, place(100, 100)));
    ASSERT_EQ(reads.read(file_check::size), scattered_read::result::read);
    expect_bytes(0, 0, 100);
    expect_bytes(100, 50'000, 100);
}

TEST_F(scattered_read_test, places_are_bounded) {
    std::size_t count = 0;
    while (count < 1000 && reads.add(*file, count, place(2 * count, 1)))
        ++count;
    EXPECT_GE(count, 16U); // a batch of records
    EXPECT_LT(count, 1000U);
    ASSERT_EQ(reads.read(file_check::size), scattered_read::result::read);
    expect_bytes(2 * (count - 1), count - 1, 1);
}

TEST_F(scattered_read_test, a_changed_file_is_not_read) {
    ASSERT_EQ(::truncate(sample.path().c_str(), 50'000), 0);
    ASSERT_TRUE(reads.add(*file, 0, place(0, 100)));
    EXPECT_EQ(reads.read(file_check::size), scattered_read::result::changed);
    EXPECT_EQ(memory[1], 0);
}

TEST_F(scattered_read_test, a_touched_file_is_read_unless_its_time_counts) {
    sample.touch();
    ASSERT_TRUE(reads.add(*file, 10, place(0, 100)));
    EXPECT_EQ(reads.read(file_check::mtime), scattered_read::result::changed);
    scattered_read others;
    ASSERT_TRUE(others.add(*file, 10, place(0, 100)));
    EXPECT_EQ(others.read(file_check::size), scattered_read::result::read);
    expect_bytes(0, 10, 100);
}

/// Reads a whole file of a file system that misbehaves, a batch of records at a time, into `memory`.
scattered_read::result read_through(const std::string& path, std::vector<std::uint8_t>& memory) {
    engine::file_table table;
    file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const file_identity identity{1, 2, faulty_disk::file_size, 0};
    const file_reference file = table.adopt(identity, std::move(opened));
    memory.assign(faulty_disk::file_size, 0);
    constexpr std::size_t step = 250'000;
    for (std::size_t at = 0; at < memory.size(); at += step) {
        scattered_read reads;
        for (std::size_t i = 0; i < 10; ++i)
            EXPECT_TRUE(reads.add(*file, at + i * (step / 10),
                                  std::span(memory).subspan(at + i * (step / 10), step / 10)));
        if (const auto result = reads.read(file_check::size); result != scattered_read::result::read)
            return result;
    }
    return scattered_read::result::read;
}

TEST_F(scattered_read_test, what_a_file_system_interrupts_or_answers_short_is_read_again) {
    MOUNT_FAULTY_DISK(disk, "60");
    const std::string content = faulty_disk::content();
    for (const char* name : {faulty_disk::interrupted, faulty_disk::halting}) {
        EXPECT_EQ(read_through(disk / name, memory), scattered_read::result::read) << name;
        EXPECT_TRUE(std::string(memory.begin(), memory.end()) == content) << name;
    }
}

TEST_F(scattered_read_test, a_disk_that_fails_is_a_failure_and_no_change) {
    MOUNT_FAULTY_DISK(disk);
    EXPECT_EQ(read_through(disk / faulty_disk::dying, memory), scattered_read::result::failed);
    EXPECT_EQ(errno, EIO);
}

TEST_F(scattered_read_test, nothing_to_be_had_where_the_file_should_go_on_is_a_failure) {
    ASSERT_TRUE(reads.add(*file, 99'990, place(0, 5)));
    ASSERT_TRUE(reads.add(*file, 99'995, place(5, 6)));
    EXPECT_EQ(reads.read(file_check::size), scattered_read::result::failed);
    EXPECT_EQ(errno, ENODATA);
    EXPECT_EQ(&reads.file(), &*file);
    EXPECT_EQ(reads.offset(), 100'000U);
}

} // namespace
} // namespace dlhandoff::test
