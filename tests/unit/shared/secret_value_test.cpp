#include "shared/secret_value.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <gtest/gtest.h>
#include <new>

namespace dlhandoff::test {
namespace {

using key = std::array<unsigned char, 48>;

bool all_zero(const key& bytes) {
    return std::ranges::all_of(bytes, [](unsigned char byte) { return byte == 0; });
}

TEST(secret_value, begins_as_zero_and_holds_what_it_is_given) {
    secret_value<key> held;
    EXPECT_TRUE(all_zero(*held));
    held->fill(7);
    const secret_value<key> copy = held;
    held.wipe();
    EXPECT_TRUE(all_zero(*held));
    EXPECT_EQ((*copy)[47], 7);
}

TEST(secret_value, leaves_nothing_behind) {
    alignas(secret_value<key>) std::array<unsigned char, sizeof(secret_value<key>)> place;
    place.fill(1);
    key seven{};
    seven.fill(7);
    auto* const held = new (place.data()) secret_value<key>(seven);
    EXPECT_EQ(std::ranges::count(place, 7), 48);
    held->~secret_value();
    EXPECT_EQ(std::ranges::count(place, 7), 0);
}

} // namespace
} // namespace dlhandoff::test
