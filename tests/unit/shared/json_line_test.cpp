#include "shared/json_line.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

TEST(json_line, is_one_line_in_the_order_in_which_it_was_put_together) {
    EXPECT_EQ(to_line({{"b", 1}, {"a", "two\nlines"}}), "{\"b\":1,\"a\":\"two\\nlines\"}\n");
}

TEST(json_line, has_nothing_that_a_terminal_would_obey) {
    const std::string line = to_line({{"a", "\x1b[2J \xc2\x9b \x7f \xff"}});
    EXPECT_TRUE(std::all_of(line.begin(), line.end() - 1, [](unsigned char byte) {
        return byte >= ' ' && byte < 0x7f;
    })) << line;
    EXPECT_NE(line.find("\\ufffd"), std::string::npos) << line;
}

TEST(json_text, is_quoted_and_stays_readable) {
    EXPECT_EQ(to_text("a\"b"), "\"a\\\"b\"");
    EXPECT_EQ(to_text("gr\u00fcn"), "\"gr\u00fcn\"");
    EXPECT_EQ(to_text("\xff"), "\"\ufffd\"");
}

} // namespace
} // namespace dlhandoff::test
