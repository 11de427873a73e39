#include "shared/file_identity.hpp"

#include "shared/file_descriptor.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

TEST(file_identity, is_the_open_files_own_whatever_its_name_means_now) {
    std::string path = "/tmp/dlhandoff-identity-XXXXXX";
    const file_descriptor file(::mkostemp(path.data(), O_CLOEXEC));
    ASSERT_TRUE(file);
    struct stat status {};
    const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {1'000'000'000, 5}}};
    EXPECT_EQ(::ftruncate(file.get(), 1234), 0);
    EXPECT_EQ(::futimens(file.get(), times.data()), 0);
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    ASSERT_EQ(::unlink(path.c_str()), 0);
    const auto found = file_identity::of(file.get());
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (file_identity{status.st_dev, status.st_ino, 1234, 1'000'000'000'000'000'005}));
}

TEST(file_identity, is_nothing_for_what_is_no_regular_file) {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const file_descriptor socket(ends[0]);
    const file_descriptor other(ends[1]);
    EXPECT_FALSE(file_identity::of(socket.get()));
    const file_descriptor directory(::open("/tmp", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(file_identity::of(directory.get()));
    EXPECT_FALSE(file_identity::of(-1));
}

} // namespace
} // namespace dlhandoff
