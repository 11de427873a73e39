#include "dlctl/display_text.hpp"
#include "dlctl/units.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using namespace dlctl;

TEST(display_text, printable_text_stays_as_it_is) {
    for (const char* text : {"", "/a file?x=1", "caf\u00e9", "\u6587\u4ef6", "\U0001f4e6", "100 %"})
        EXPECT_EQ(harmless(text), text);
}

struct hostile {
    const char* name;
    std::string bytes;
    std::string shown;
};
class hostile_text : public ::testing::TestWithParam<hostile> {};

TEST_P(hostile_text, is_made_harmless) {
    EXPECT_EQ(harmless(GetParam().bytes), GetParam().shown);
    EXPECT_EQ(harmless(harmless(GetParam().bytes)), GetParam().shown) << "once is enough";
    EXPECT_EQ(columns_of(GetParam().shown), GetParam().shown.size()) << "all ASCII";
}

INSTANTIATE_TEST_SUITE_P(
    display_text, hostile_text,
    ::testing::Values(hostile{"clear_screen", "a\x1b[2Jb", "a\\x1b[2Jb"},
                      hostile{"title", "\x1b]0;x\x07", "\\x1b]0;x\\x07"},
                      hostile{"newline", "a\nb", "a\\x0ab"}, hostile{"carriage_return", "a\rb", "a\\x0db"},
                      hostile{"tab", "\t", "\\x09"}, hostile{"delete", "\x7f", "\\x7f"},
                      hostile{"nul", std::string("a\0b", 3), "a\\x00b"},
                      hostile{"csi_of_one_byte",
                              "\x9b"
                              "2J",
                              "\\x9b2J"},
                      hostile{"csi_in_utf8",
                              "\xc2\x9b"
                              "2J",
                              "\\xc2\\x9b2J"},
                      hostile{"latin_1", "caf\xe9", "caf\\xe9"}, hostile{"cut_off", "\xe6\x96", "\\xe6\\x96"},
                      hostile{"overlong", "\xc0\xaf\xe0\x80\x9b", "\\xc0\\xaf\\xe0\\x80\\x9b"},
                      hostile{"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
                      hostile{"beyond_unicode", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
                      hostile{"right_to_left_override", "\u202egnp.exe", "\\xe2\\x80\\xaegnp.exe"},
                      hostile{"zero_width", "a\u200bb", "a\\xe2\\x80\\x8bb"},
                      hostile{"combining", "a\u0300", "a\\xcc\\x80"},
                      hostile{"line_separator", "\u2028", "\\xe2\\x80\\xa8"}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(display_text, every_byte_and_pair_of_bytes_becomes_printable) {
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second) {
            const std::string text =
                harmless(std::string{static_cast<char>(first), static_cast<char>(second)});
            for (const char each : text)
                ASSERT_FALSE((each >= 0 && each < 0x20) || each == 0x7f) << first << ' ' << second;
            ASSERT_GT(columns_of(text), 0U);
        }
}

TEST(display_text, wide_characters_take_two_columns) {
    EXPECT_EQ(columns_of("abc"), 3U);
    EXPECT_EQ(columns_of("caf\u00e9"), 4U);
    EXPECT_EQ(columns_of("\u6587\u4ef6"), 4U);
}

TEST(display_text, is_cut_between_characters) {
    EXPECT_EQ(cut("abcdef", 6), "abcdef");
    EXPECT_EQ(cut("abcdef", 5), "abc..");
    EXPECT_EQ(cut("abcdef", 2), "..");
    EXPECT_EQ(cut("abcdef", 1), ".");
    EXPECT_EQ(cut("abcdef", 0), "");
    EXPECT_EQ(cut("\u6587\u4ef6\u6587", 5), "\u6587..");
    EXPECT_EQ(cut("\u6587\u4ef6\u6587", 4), "\u6587..");
    EXPECT_EQ(cut("\u00e9\u00e9\u00e9\u00e9", 3), "\u00e9..");
}

TEST(units, sizes_have_two_or_three_digits_and_units_of_1000) {
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(999), "999 B");
    EXPECT_EQ(size_text(1000), "1.0 kB");
    EXPECT_EQ(size_text(1536), "1.5 kB");
    EXPECT_EQ(size_text(99'949), "99.9 kB");
    EXPECT_EQ(size_text(99'951), "100 kB");
    EXPECT_EQ(size_text(999'499), "999 kB");
    EXPECT_EQ(size_text(999'500), "1.0 MB");
    EXPECT_EQ(size_text(1'250'000'000), "1.2 GB");
    EXPECT_EQ(size_text(UINT64_MAX), "18.4 EB");
    EXPECT_EQ(rate_text(12'300'000), "12.3 MB/s");
}

TEST(units, times) {
    EXPECT_EQ(time_text(std::nullopt), "-");
    EXPECT_EQ(time_text(0), "0:00");
    EXPECT_EQ(time_text(65), "1:05");
    EXPECT_EQ(time_text(3723), "1:02:03");
    EXPECT_EQ(time_text(86'400 + 3 * 3600 + 240), "1 d 03:04");
    EXPECT_EQ(time_text(UINT64_MAX), "213503982334601 d 07:00");
}

} // namespace
} // namespace dlhandoff::test
