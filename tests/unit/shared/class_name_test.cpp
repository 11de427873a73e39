#include "shared/class_name.hpp"

#include <gtest/gtest.h>
#include <string>

namespace dlhandoff::test {
namespace {

TEST(class_name, has_letters_digits_underscores_and_hyphens) {
    for (const char* name : {"default", "Gold_2", "a-b", "-", "0"})
        EXPECT_TRUE(is_class_name(name)) << name;
    for (const char* name : {"", "a b", "a.b", "gr\u00fcn", "a/b", "a\n"})
        EXPECT_FALSE(is_class_name(name)) << name;
    EXPECT_FALSE(is_class_name(std::string_view("a\0b", 3)));
}

TEST(class_name, has_64_of_them_at_most_as_messages_say) {
    EXPECT_TRUE(is_class_name(std::string(longest_class_name, 'x')));
    EXPECT_FALSE(is_class_name(std::string(longest_class_name + 1, 'x')));
    EXPECT_NE(std::string(allowed_class_names).find(std::to_string(longest_class_name)), std::string::npos);
}

} // namespace
} // namespace dlhandoff::test
