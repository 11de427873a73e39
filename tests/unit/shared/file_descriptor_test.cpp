#include "shared/file_descriptor.hpp"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <system_error>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace dlhandoff {
namespace {

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

file_descriptor open_null() {
    return file_descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

static_assert(!std::is_copy_constructible_v<file_descriptor> && !std::is_copy_assignable_v<file_descriptor>);
static_assert(std::is_nothrow_move_constructible_v<file_descriptor> &&
              std::is_nothrow_move_assignable_v<file_descriptor>);

TEST(file_descriptor, is_invalid_until_it_owns_something) {
    const file_descriptor none;
    EXPECT_FALSE(none);
    EXPECT_FALSE(none.valid());
    EXPECT_EQ(none.get(), -1);
}

TEST(file_descriptor, closes_when_it_goes) {
    int number = -1;
    {
        const file_descriptor one = open_null();
        ASSERT_TRUE(one);
        number = one.get();
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(file_descriptor, moving_leaves_one_owner) {
    file_descriptor first = open_null();
    const int number = first.get();
    const file_descriptor second(std::move(first));
    EXPECT_FALSE(first.valid()); // NOLINT(bugprone-use-after-move): what is left behind is the point
    EXPECT_EQ(second.get(), number);
    EXPECT_TRUE(is_open(number));
}

TEST(file_descriptor, move_assignment_closes_what_was_there) {
    file_descriptor target = open_null();
    file_descriptor source = open_null();
    const int old_number = target.get();
    const int new_number = source.get();
    target = std::move(source);
    EXPECT_FALSE(is_open(old_number));
    EXPECT_EQ(target.get(), new_number);
    EXPECT_TRUE(is_open(new_number));
}

TEST(file_descriptor, survives_assignment_to_itself) {
    file_descriptor one = open_null();
    const int number = one.get();
    file_descriptor& same = one;
    one = std::move(same);
    EXPECT_EQ(one.get(), number);
    EXPECT_TRUE(is_open(number));
}

TEST(file_descriptor, release_gives_up_without_closing) {
    file_descriptor one = open_null();
    const file_descriptor owner(one.release());
    EXPECT_FALSE(one);
    EXPECT_TRUE(is_open(owner.get()));
}

TEST(file_descriptor, reset_closes_and_keeps_errno) {
    file_descriptor one = open_null();
    const int number = one.get();
    errno = EMSGSIZE;
    one.reset();
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_FALSE(is_open(number));
    errno = EMSGSIZE;
    one.reset(number); // not open any more: close() will fail with EBADF, which nobody must see
    one.reset();
    EXPECT_EQ(errno, EMSGSIZE);
}

TEST(file_descriptor, duplicate_shares_the_description_and_closes_on_exec) {
    const file_descriptor one(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(one);
    const file_descriptor two = file_descriptor::duplicate_of(one.get());
    ASSERT_TRUE(two);
    EXPECT_NE(two.get(), one.get());
    EXPECT_GE(two.get(), 3);
    EXPECT_NE(::fcntl(two.get(), F_GETFD) & FD_CLOEXEC, 0);
    ASSERT_EQ(::lseek(one.get(), 7, SEEK_SET), 7);
    EXPECT_EQ(::lseek(two.get(), 0, SEEK_CUR), 7);
}

TEST(file_descriptor, duplicate_of_nothing_is_invalid_and_says_why) {
    errno = 0;
    const file_descriptor none = file_descriptor::duplicate_of(-1);
    EXPECT_FALSE(none);
    EXPECT_EQ(errno, EBADF);
}

TEST(throw_errno, names_the_call_and_carries_the_number) {
    errno = EADDRINUSE;
    try {
        throw_errno("bind(/run/example.sock)");
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EADDRINUSE);
        EXPECT_EQ(error.code().category(), std::generic_category());
        EXPECT_EQ(std::string(error.what()).rfind("bind(/run/example.sock): ", 0), 0U) << error.what();
    }
}

} // namespace
} // namespace dlhandoff
