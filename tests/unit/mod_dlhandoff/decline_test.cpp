#include "mod_dlhandoff/decline.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace {

using dlhandoff::refusal;
using dlhandoff::httpd::decline;
using dlhandoff::httpd::decline_reason;
using dlhandoff::httpd::is_managers_fault;

TEST(Decline, NamesAreDifferentWords) {
    std::set<std::string, std::less<>> names;
    for (int number = 0; number <= static_cast<int>(decline_reason::board); ++number) {
        const std::string word(name(static_cast<decline_reason>(number)));
        EXPECT_TRUE(names.insert(word).second) << word << " twice";
        EXPECT_NE(word, "unknown");
        EXPECT_TRUE(std::ranges::all_of(word, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        })) << word;
    }
}

TEST(Decline, NamesARefusalAsTheManagerDoes) {
    EXPECT_EQ(name(decline(refusal::full)), "full");
    EXPECT_EQ(name(decline(refusal::not_tcp)), "not-tcp");
    EXPECT_EQ(name(decline(decline_reason::min_size)), "min-size");
}

TEST(Decline, KnowsWhatAnAdministratorShouldHearOf) {
    EXPECT_TRUE(is_managers_fault(decline_reason::manager_down));
    EXPECT_TRUE(is_managers_fault(decline_reason::wire_version));
    EXPECT_TRUE(is_managers_fault(refusal::full));
    EXPECT_FALSE(is_managers_fault(decline_reason::min_size));
    EXPECT_FALSE(is_managers_fault(decline_reason::pipelined));
    EXPECT_FALSE(is_managers_fault(refusal::not_connected));
}

} // namespace
