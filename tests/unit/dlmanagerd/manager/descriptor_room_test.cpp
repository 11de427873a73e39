#include "dlmanagerd/manager/descriptor_room.hpp"

#include "shared/file_descriptor.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <vector>

namespace dlhandoff::service {
namespace {

descriptor_room room_of(std::uint64_t limit) {
    descriptor_room one;
    one.set_limit(limit);
    return one;
}

TEST(descriptor_room, reserves_a_quarter_or_what_its_sessions_may_bring) {
    descriptor_room small = room_of(64);
    (void)small.update(10, 5);
    EXPECT_EQ(small.reserve(), 16u);
    descriptor_room large = room_of(524'288);
    (void)large.update(10, 0);
    EXPECT_EQ(large.reserve(), 64u);
    (void)large.update(10, 400);
    EXPECT_EQ(large.reserve(), 864u);
}

TEST(descriptor_room, has_levels) {
    descriptor_room one = room_of(64);
    EXPECT_EQ(one.level(), room_level::none) << "until it has been counted";
    EXPECT_TRUE(one.update(10, 1));
    EXPECT_EQ(one.level(), room_level::plenty);
    EXPECT_FALSE(one.update(64 - 32, 1));
    EXPECT_TRUE(one.update(64 - 31, 1));
    EXPECT_EQ(one.level(), room_level::low);
    EXPECT_FALSE(one.update(64 - 16, 1));
    EXPECT_TRUE(one.update(64 - 15, 1));
    EXPECT_EQ(one.level(), room_level::none);
}

TEST(descriptor_room, has_room_again_only_with_a_margin) {
    descriptor_room one = room_of(64);
    (void)one.update(60, 1);
    for (std::uint64_t free = 4; free < 16 + 5; ++free) {
        EXPECT_FALSE(one.update(64 - free, 1)) << free;
        EXPECT_EQ(one.level(), room_level::none) << free;
    }
    EXPECT_TRUE(one.update(64 - 21, 1));
    EXPECT_EQ(one.level(), room_level::low);
    EXPECT_FALSE(one.update(64 - 36, 1)) << "the same upwards from low";
    EXPECT_TRUE(one.update(64 - 37, 1));
    EXPECT_EQ(one.level(), room_level::plenty);
}

TEST(descriptor_room, says_what_must_be_closed) {
    descriptor_room one = room_of(64);
    (void)one.update(10, 1);
    (void)one.update(64 - 16, 1);
    EXPECT_EQ(one.missing_for(room_level::low), 0u);
    EXPECT_EQ(one.missing_for(room_level::plenty), 32u + 5 - 16) << "the margin too, or it would stay low";
    (void)one.update(64 - 15, 1);
    EXPECT_EQ(one.missing_for(room_level::low), 6u) << "as many as it takes to have room again";
    (void)one.update(64 - 18, 1);
    EXPECT_EQ(one.missing_for(room_level::low), 3u);
    EXPECT_EQ(one.missing_for(room_level::none), 0u);
    (void)one.update(64 - 37, 1);
    (void)one.update(64 - 32, 1);
    EXPECT_EQ(one.missing_for(room_level::plenty), 0u) << "kept without the margin";
    (void)one.update(70, 1);
    EXPECT_EQ(one.missing_for(room_level::low), 21u) << "more used than allowed: after a lower limit was set";
}

TEST(descriptor_room, leaves_sessions_half_of_the_reserve) {
    descriptor_room one = room_of(64);
    (void)one.update(64 - 9, 1);
    EXPECT_EQ(one.surplus_sessions(), 0u) << "it takes one and leaves eight";
    (void)one.update(64 - 8, 1);
    EXPECT_EQ(one.surplus_sessions(), 1u);
    (void)one.update(64, 1);
    EXPECT_EQ(one.surplus_sessions(), 9u);
}

TEST(descriptor_room, leaves_sessions_a_quarter_of_the_limit) {
    descriptor_room one = room_of(64);
    EXPECT_EQ(one.most_sessions(), 16u);
    (void)one.update(30, 15);
    EXPECT_EQ(one.surplus_sessions(), 0u);
    (void)one.update(31, 16);
    EXPECT_EQ(one.surplus_sessions(), 1u);
    (void)one.update(40, 20);
    EXPECT_EQ(one.surplus_sessions(), 5u) << "after a lower limit was set";
    EXPECT_EQ(room_of(2).most_sessions(), 1u);
}

TEST(descriptor_room, counts_open_descriptors) {
    const std::uint64_t before = count_descriptors();
    EXPECT_GE(before, 3u);
    std::vector<file_descriptor> more;
    for (int i = 0; i < 5; ++i)
        more.emplace_back(::eventfd(0, EFD_CLOEXEC));
    EXPECT_EQ(count_descriptors(), before + 5);
    more.clear();
    EXPECT_EQ(count_descriptors(), before);
}

} // namespace
} // namespace dlhandoff::service
