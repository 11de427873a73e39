#include "engine/files/file_table.hpp"

#include "tests/unit/engine/download.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <optional>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::file_reference;
using engine::file_table;

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

TEST(file_table, keeps_one_descriptor_of_a_file_and_closes_the_others) {
    const sample_file file(1000);
    file_table table;
    const file_reference first = table.adopt(file.identity(), file.open());
    file_descriptor again = file.open();
    const int number = again.get();
    const file_reference second = table.adopt(file.identity(), std::move(again));
    EXPECT_EQ(table.size(), 1U);
    EXPECT_EQ(&*first, &*second);
    EXPECT_EQ(first->identity(), file.identity());
    EXPECT_FALSE(is_open(number));
    EXPECT_TRUE(is_open(first->descriptor()));
}

TEST(file_table, closes_a_file_with_its_last_reference) {
    const sample_file file(1000);
    file_table table;
    std::optional<file_reference> first = table.adopt(file.identity(), file.open());
    std::optional<file_reference> second = first;
    std::optional<file_reference> third = std::move(second);
    second.reset(); // moved from: holds nothing
    const int number = (*first)->descriptor();
    first.reset();
    EXPECT_TRUE(is_open(number));
    EXPECT_EQ(table.size(), 1U);
    third.reset();
    EXPECT_FALSE(is_open(number));
    EXPECT_EQ(table.size(), 0U);
}

TEST(file_table, opens_a_file_anew_after_its_last_reference) {
    const sample_file file(1000);
    file_table table;
    { const file_reference gone = table.adopt(file.identity(), file.open()); }
    const file_reference again = table.adopt(file.identity(), file.open());
    EXPECT_EQ(table.size(), 1U);
    EXPECT_TRUE(is_open(again->descriptor()));
}

TEST(file_table, assignment_counts_too) {
    const sample_file one(1000), other(1000);
    file_table table;
    file_reference reference = table.adopt(one.identity(), one.open());
    const file_reference& same = reference;
    reference = same;
    EXPECT_EQ(table.size(), 1U);
    reference = table.adopt(other.identity(), other.open());
    EXPECT_EQ(table.size(), 1U);
    EXPECT_EQ(reference->identity(), other.identity());
    reference = file_reference();
    EXPECT_EQ(table.size(), 0U);
}

TEST(file_table, any_difference_in_identity_makes_another_file) {
    const sample_file file(1000);
    const file_identity identity = file.identity();
    std::vector<file_identity> identities(5, identity);
    identities[1].device += 1;
    identities[2].inode += 1;
    identities[3].size += 1;
    identities[4].modified_nanoseconds += 1;
    file_table table;
    std::vector<file_reference> references;
    for (const file_identity& one : identities)
        references.push_back(table.adopt(one, file.open()));
    EXPECT_EQ(table.size(), identities.size());
    for (std::size_t i = 1; i < references.size(); ++i)
        EXPECT_NE(references[i]->descriptor(), references[0]->descriptor());
}

TEST(file_table, references_stay_good_when_the_table_grows) {
    const sample_file file(1000);
    file_table table;
    file_identity identity = file.identity();
    const file_reference first = table.adopt(identity, file.open());
    const int number = first->descriptor();
    std::vector<file_reference> others;
    for (int i = 0; i < 500; ++i) {
        identity.inode += 1;
        others.push_back(table.adopt(identity, file.open()));
    }
    EXPECT_EQ(first->descriptor(), number);
    EXPECT_EQ(first->identity(), file.identity());
}

TEST(file_table, notices_what_happens_to_a_file) {
    const sample_file untouched(1000), replaced(1000), written(1000), shortened(1000), lengthened(1000);
    file_table table;
    const auto adopt = [&](const sample_file& file) { return table.adopt(file.identity(), file.open()); };
    const file_reference a = adopt(untouched), b = adopt(replaced), c = adopt(written), d = adopt(shortened),
                         e = adopt(lengthened);
    ASSERT_EQ(::unlink(replaced.path().c_str()), 0);
    // An mtime of its own, for two writes within the clock's tick can't be told apart.
    const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, written.path().c_str(), times, 0), 0);
    ASSERT_EQ(::truncate(shortened.path().c_str(), 999), 0);
    ASSERT_EQ(::truncate(lengthened.path().c_str(), 1001), 0);
    EXPECT_TRUE(a->unchanged());
    EXPECT_TRUE(b->unchanged()); // the open file is the same, whatever its name means now
    EXPECT_FALSE(c->unchanged());
    EXPECT_FALSE(d->unchanged());
    EXPECT_FALSE(e->unchanged());
}

} // namespace
} // namespace dlhandoff::test
