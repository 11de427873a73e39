#include "shared/trusted_user.hpp"

#include "shared/peer_user.hpp"

#include <array>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

TEST(trusted_user, is_root_or_ones_own_or_who_is_named) {
    const uid_t own = ::geteuid();
    const std::array<uid_t, 2> others{54321, 54322};
    EXPECT_TRUE(is_trusted(0));
    EXPECT_TRUE(is_trusted(own));
    EXPECT_TRUE(is_trusted(54322, others));
    EXPECT_FALSE(is_trusted(54322));
    EXPECT_FALSE(is_trusted(54323, others));
}

enum outcome : int { as_wanted, no_namespaces, no_peer, not_shown_as_unmapped, taken_for_its_own };

/// In a process of a user namespace without ids, where every user, this process's own too, is shown as the
/// overflow id: how it takes the peer of its socket, who is outside.
int judge_an_unmapped_peer(int socket) {
    if (::unshare(CLONE_NEWUSER) != 0)
        return no_namespaces;
    const auto peer = peer_user(socket);
    if (!peer)
        return no_peer;
    if (*peer != ::geteuid() || !may_be_anybody(*peer))
        return not_shown_as_unmapped;
    return is_trusted(*peer) ? taken_for_its_own : as_wanted;
}

TEST(trusted_user, is_no_user_of_another_namespace_though_the_id_is_the_own_one) {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const pid_t judge = ::fork();
    if (judge == 0)
        ::_exit(judge_an_unmapped_peer(ends[0]));
    int status = 0;
    ASSERT_EQ(::waitpid(judge, &status, 0), judge);
    ::close(ends[0]);
    ::close(ends[1]);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_namespaces)
        GTEST_SKIP() << "this machine allows no user namespaces";
    EXPECT_EQ(WEXITSTATUS(status), as_wanted);
}

} // namespace
} // namespace dlhandoff::test
