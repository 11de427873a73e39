#include "shared/peer_user.hpp"

#include "shared/file_descriptor.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

TEST(peer_user, is_who_has_the_other_end) {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const file_descriptor one(ends[0]);
    const file_descriptor other(ends[1]);
    EXPECT_EQ(peer_user(one.get()), ::geteuid());
}

TEST(peer_user, is_nobody_for_what_is_no_socket) {
    const file_descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(peer_user(file.get()));
    EXPECT_EQ(errno, ENOTSOCK);
}

} // namespace
} // namespace dlhandoff::test
