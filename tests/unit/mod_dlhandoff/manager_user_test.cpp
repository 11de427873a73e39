#include "mod_dlhandoff/manager_user.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dlhandoff::httpd {
namespace {

class manager_user : public ::testing::Test {
  protected:
    manager_user() { EXPECT_NE(::mkdtemp(folder.data()), nullptr); }
    ~manager_user() override { ::rmdir(folder.c_str()); }

    std::string folder = "/tmp/dlhandoff-user-XXXXXX";
    [[nodiscard]] std::string socket() const { return folder + "/manager.sock"; }
};

TEST_F(manager_user, is_root_or_ones_own_and_nobody_else_by_default) {
    const uid_t stranger = ::geteuid() + 54321;
    EXPECT_TRUE(may_be_manager(0, socket()));
    EXPECT_TRUE(may_be_manager(::geteuid(), socket()));
    EXPECT_FALSE(may_be_manager(stranger, socket()));
    EXPECT_FALSE(may_be_manager(stranger, "/nonexistent/manager.sock"));
}

TEST_F(manager_user, is_the_owner_of_the_sockets_directory) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can give a directory away";
    ASSERT_EQ(::chown(folder.c_str(), 54321, 54321), 0);
    EXPECT_TRUE(may_be_manager(54321, socket()));
    EXPECT_FALSE(may_be_manager(54322, socket()));
}

/// In a user namespace without ids this process, the owner of every directory and every stranger look alike.
TEST_F(manager_user, is_nobody_whom_the_kernel_cannot_name) {
    enum : int { refused, allowed, no_namespaces, named };
    const pid_t judge = ::fork();
    if (judge == 0) {
        if (::unshare(CLONE_NEWUSER) != 0)
            ::_exit(no_namespaces);
        struct stat directory {};
        if (::stat(folder.c_str(), &directory) != 0 || directory.st_uid != ::geteuid())
            ::_exit(named);
        ::_exit(may_be_manager(directory.st_uid, socket()) ? allowed : refused);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(judge, &status, 0), judge);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_namespaces)
        GTEST_SKIP() << "this machine allows no user namespaces";
    EXPECT_EQ(WEXITSTATUS(status), refused);
}

} // namespace
} // namespace dlhandoff::httpd
