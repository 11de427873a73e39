#include "dlmanagerd/listening_socket.hpp"

#include "shared/unix_address.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using ::testing::HasSubstr;

class listening_socket_test : public ::testing::Test {
  public:
    listening_socket_test() {
        std::string pattern = "/tmp/dlhandoff-listen-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr)
            throw_errno("mkdtemp");
        directory = pattern;
        path = directory / "m.sock";
    }
    ~listening_socket_test() override { std::filesystem::remove_all(directory); }

    [[nodiscard]] unix_address address() const { return unix_address::of(path.native()).value(); }
    /// Somebody else's socket there.
    [[nodiscard]] file_descriptor bind_socket(int type) const {
        file_descriptor other(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
        if (!address().bind(other.get()))
            throw_errno("bind");
        return other;
    }
    [[nodiscard]] bool can_connect() const {
        const file_descriptor client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        return address().connect(client.get());
    }
    [[nodiscard]] std::string why_not() const {
        try {
            const listening_socket made(path);
        } catch (const std::exception& error) {
            return error.what();
        }
        return "nothing is in the way";
    }
    [[nodiscard]] static std::size_t open_descriptors() {
        const std::filesystem::directory_iterator all("/proc/self/fd");
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    std::filesystem::path directory;
    std::filesystem::path path;
};

TEST_F(listening_socket_test, accepts_with_mode_0660_whatever_the_umask) {
    const mode_t before = ::umask(0077);
    const listening_socket made(path);
    ::umask(before);
    EXPECT_TRUE(can_connect());
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0660u);
}

TEST_F(listening_socket_test, leaves_nothing_behind) {
    const std::size_t before = open_descriptors();
    { const listening_socket made(path); }
    EXPECT_TRUE(std::filesystem::is_empty(directory));
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(listening_socket_test, takes_a_dead_ones_socket_over) {
    (void)bind_socket(SOCK_SEQPACKET);
    ASSERT_TRUE(std::filesystem::exists(path));
    std::ofstream(path.string() + ".lock") << "";
    const listening_socket made(path);
    EXPECT_TRUE(can_connect());
}

TEST_F(listening_socket_test, refuses_a_second_one) {
    const listening_socket first(path);
    const std::size_t before = open_descriptors();
    EXPECT_EQ(why_not(),
              "a process listens at " + path.string() +
                  " already and goes on undisturbed; stop it first, or give another path with --listen");
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_TRUE(can_connect());
    EXPECT_TRUE(std::filesystem::exists(path.string() + ".lock"));
}

TEST_F(listening_socket_test, refuses_when_somebody_listens_without_the_lock) {
    for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
        const file_descriptor other = bind_socket(type);
        ASSERT_EQ(::listen(other.get(), 0), 0);
        EXPECT_THAT(why_not(), HasSubstr("listens at")) << "type " << type;
        EXPECT_TRUE(std::filesystem::exists(path));
        EXPECT_FALSE(std::filesystem::exists(path.string() + ".lock"));
        std::filesystem::remove(path);
    }
}

TEST_F(listening_socket_test, never_removes_what_is_no_socket) {
    const std::string expected =
        path.string() +
        " exists and is not a socket; it is left alone: remove it, or give another path with --listen";
    std::ofstream(path) << "precious";
    EXPECT_EQ(why_not(), expected);
    EXPECT_EQ(std::filesystem::file_size(path), 8u);
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    EXPECT_EQ(why_not(), expected);
    std::filesystem::remove(path);
    std::filesystem::create_symlink(directory / "elsewhere", path);
    EXPECT_EQ(why_not(), expected);
}

TEST_F(listening_socket_test, does_not_follow_a_link_to_its_lock) {
    std::filesystem::create_symlink(directory / "elsewhere", path.string() + ".lock");
    EXPECT_THAT(why_not(), HasSubstr(".lock"));
    EXPECT_FALSE(std::filesystem::exists(directory / "elsewhere"));
}

TEST_F(listening_socket_test, leaves_anothers_socket_at_its_path) {
    {
        const listening_socket made(path);
        std::filesystem::remove(path);
        (void)bind_socket(SOCK_SEQPACKET);
    }
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(listening_socket_test, says_what_directory_is_missing) {
    path = directory / "missing" / "m.sock";
    EXPECT_EQ(
        why_not(),
        "cannot open " + path.string() +
            ".lock (its directory must exist, and both be this user's to write): No such file or directory");
}

} // namespace
} // namespace dlhandoff::service
