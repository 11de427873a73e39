#include "dlctl/units.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace dlhandoff::dlctl {
namespace {

TEST(units, sizes_have_three_digits_or_so) {
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(999), "999 B");
    EXPECT_EQ(size_text(1'000), "1.0 kB");
    EXPECT_EQ(size_text(1'549), "1.5 kB");
    EXPECT_EQ(size_text(99'949), "99.9 kB");
    EXPECT_EQ(size_text(99'951), "100 kB");
    EXPECT_EQ(size_text(999'499), "999 kB");
    EXPECT_EQ(size_text(999'501), "1.0 MB");
    EXPECT_EQ(size_text(120'000'000), "120 MB");
    EXPECT_EQ(size_text(std::numeric_limits<std::uint64_t>::max()), "18.4 EB");
    EXPECT_EQ(rate_text(1'500), "1.5 kB/s");
}

TEST(units, times_are_as_short_as_they_can_be) {
    EXPECT_EQ(time_text(std::nullopt), "-");
    EXPECT_EQ(time_text(5), "0:05");
    EXPECT_EQ(time_text(3'599), "59:59");
    EXPECT_EQ(time_text(3'723), "1:02:03");
    EXPECT_EQ(time_text(24 * 3'600 - 1), "23:59:59");
    EXPECT_EQ(time_text(3 * 24 * 3'600 + 4 * 3'600 + 5 * 60), "3 d 04:05");
}

} // namespace
} // namespace dlhandoff::dlctl
