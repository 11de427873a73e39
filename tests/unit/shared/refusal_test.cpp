#include "shared/refusal.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace dlhandoff {
namespace {

TEST(refusal, every_reason_has_a_word_of_its_own) {
    std::set<std::string> words;
    for (std::uint16_t number = 1; number < refusal_count; ++number) {
        const refusal reason = refusal_from_number(number);
        EXPECT_EQ(static_cast<std::uint16_t>(reason), number);
        const std::string word(name(reason));
        EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string::npos) << word;
        EXPECT_TRUE(words.insert(word).second) << word;
    }
    EXPECT_EQ(static_cast<std::size_t>(refusal::return_socket) + 1, refusal_count);
}

TEST(refusal, an_unknown_number_is_malformed) {
    EXPECT_EQ(refusal_from_number(0), refusal::malformed);
    EXPECT_EQ(refusal_from_number(refusal_count), refusal::malformed);
    EXPECT_EQ(refusal_from_number(0xffff), refusal::malformed);
}

} // namespace
} // namespace dlhandoff
