#include "dlctl/table.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using dlctl::table;
using side = table::column::side;

table sample() {
    table made({{"NAME", side::left, 3, 4},
                {"N", side::right, 2, 0},
                {"PATH", side::left, 1, 4, table::column::kept::end}});
    made.add({"alpha", "5", "/long/path"});
    made.add({"b", "1234", "/p"});
    return made;
}

TEST(table, columns_are_as_wide_as_their_widest_text) {
    EXPECT_EQ(sample().text(0), "NAME      N  PATH\nalpha     5  /long/path\nb      1234  /p\n");
    EXPECT_EQ(sample().text(23), sample().text(0));
}

TEST(table, what_may_be_cut_is_cut_before_a_column_goes) {
    EXPECT_EQ(sample().text(20), "NAME      N  PATH\nalpha     5  ../path\nb      1234  /p\n");
    EXPECT_EQ(sample().text(16), "NAME     N  PATH\nal..     5  ..th\nb     1234  /p\n");
}

TEST(table, the_least_important_columns_go_first_and_the_others_have_their_room) {
    EXPECT_EQ(sample().text(15), "NAME      N\nalpha     5\nb      1234\n");
    EXPECT_EQ(sample().text(10), "NAME     N\nal..     5\nb     1234\n");
    EXPECT_EQ(sample().text(9), "NAME\nalpha\nb\n");
    EXPECT_EQ(sample().text(3), "N..\na..\nb\n");
}

} // namespace
} // namespace dlhandoff::test
