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

TEST(file_table, a_file_that_grows_or_is_touched_stays_as_each_offer_described_it) {
    const sample_file file(1000);
    file_table table;
    const file_reference first = table.adopt(file.identity(), file.open());
    file.append("more");
    const file_reference second = table.adopt(file.identity(), file.open());
    file.touch();
    const file_reference third = table.adopt(file.identity(), file.open());
    EXPECT_EQ(table.size(), 3U);
    EXPECT_EQ(first->identity().size, 1000U);
    EXPECT_EQ(second->identity().size, 1004U);
    EXPECT_EQ(first->state(file_check::mtime), engine::file_state::as_offered);
    EXPECT_EQ(second->state(file_check::mtime), engine::file_state::changed);
    EXPECT_EQ(second->state(file_check::size), engine::file_state::as_offered);
    EXPECT_EQ(third->state(file_check::mtime), engine::file_state::as_offered);
}

} // namespace
} // namespace dlhandoff::test
