#include "shared/byte_size.hpp"

#include <gtest/gtest.h>

namespace {

using dlhandoff::parse_byte_size;

TEST(ByteSize, IsBytesOrHasAUnit) {
    EXPECT_EQ(parse_byte_size("0"), 0U);
    EXPECT_EQ(parse_byte_size("65536"), 65536U);
    EXPECT_EQ(parse_byte_size("64K"), 65536U);
    EXPECT_EQ(parse_byte_size("3m"), 3U << 20);
    EXPECT_EQ(parse_byte_size("5G"), 5ULL << 30);
}

TEST(ByteSize, FitsAnOffset) {
    EXPECT_EQ(parse_byte_size("9223372036854775807"), 9223372036854775807ULL);
    EXPECT_EQ(parse_byte_size("9223372036854775808"), std::nullopt);
    EXPECT_EQ(parse_byte_size("8589934591G"), 8589934591ULL << 30);
    EXPECT_EQ(parse_byte_size("8589934592G"), std::nullopt);
    EXPECT_EQ(parse_byte_size("99999999999999999999"), std::nullopt);
}

TEST(ByteSize, IsNothingElse) {
    for (const char* text : {"", "K", "-1", "+1", " 1", "1 ", "1KB", "1.5M", "0x10", "1T", "eins"})
        EXPECT_EQ(parse_byte_size(text), std::nullopt) << text;
}

} // namespace
