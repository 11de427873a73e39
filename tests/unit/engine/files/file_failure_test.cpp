#include "engine/files/file_failure.hpp"

#include "engine/files/file_table.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(file_failure, names_the_file_the_place_and_the_error) {
    const sample_file sample(1000);
    engine::file_table table;
    const engine::file_reference file = table.adopt(sample.identity(), sample.open());
    const auto failure = engine::failure_of(*file, 400, EIO);
    EXPECT_EQ(failure.identity, sample.identity());
    EXPECT_EQ(failure.path, sample.path());
    const std::string said = describe(failure);
    EXPECT_THAT(said, HasSubstr(sample.path()));
    EXPECT_THAT(said, HasSubstr("inode " + std::to_string(sample.identity().inode)));
    EXPECT_THAT(said, HasSubstr("at byte 400, Input/output error"));
}

TEST(file_failure, does_without_a_name_and_keeps_to_one_line) {
    EXPECT_THAT(engine::describe({{2049, 12, 1000, 0}, "", 0, EIO}),
                HasSubstr("a file (device 8:1, inode 12)"));
    EXPECT_THAT(engine::describe({{2049, 12, 1000, 0}, "/a\nb", 0, EIO}), Not(HasSubstr("\n")));
}

} // namespace
} // namespace dlhandoff::test
