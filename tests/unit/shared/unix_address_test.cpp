#include "shared/unix_address.hpp"

#include "shared/file_descriptor.hpp"

#include <cerrno>
#include <filesystem>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

class unix_address_test : public ::testing::Test {
  protected:
    unix_address_test() {
        std::string pattern = "/tmp/dlhandoff-address-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr)
            throw_errno("mkdtemp");
        directory = pattern;
    }
    ~unix_address_test() override { std::filesystem::remove_all(directory); }

    /// In the test's directory, with so many bytes.
    [[nodiscard]] std::string path_of(std::size_t size) const {
        return directory + '/' + std::string(size - directory.size() - 1, 's');
    }
    static file_descriptor make_socket() {
        return file_descriptor(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    }

    std::string directory;
};

TEST_F(unix_address_test, the_longest_path_can_be_bound_and_connected_to_and_is_read_back) {
    const std::string path = path_of(unix_address::longest_path);
    const auto address = unix_address::of(path);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->path(), path);
    const file_descriptor listener = make_socket();
    ASSERT_TRUE(address->bind(listener.get()));
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_TRUE(address->connect(make_socket().get()));
    EXPECT_EQ(unix_address::of_socket(listener.get()).path(), path);
}

TEST_F(unix_address_test, a_longer_path_is_no_address) {
    errno = 0;
    EXPECT_FALSE(unix_address::of(path_of(unix_address::longest_path + 1)));
    EXPECT_EQ(errno, ENAMETOOLONG);
}

TEST_F(unix_address_test, what_bind_and_connect_say_is_in_errno) {
    const auto address = unix_address::of(path_of(50)).value();
    EXPECT_FALSE(address.connect(make_socket().get()));
    EXPECT_EQ(errno, ENOENT);
    const file_descriptor first = make_socket();
    ASSERT_TRUE(address.bind(first.get()));
    EXPECT_FALSE(address.bind(make_socket().get()));
    EXPECT_EQ(errno, EADDRINUSE);
}

TEST_F(unix_address_test, other_sockets_have_no_path) {
    EXPECT_EQ(unix_address().path(), "");
    EXPECT_EQ(unix_address::of_socket(-1).path(), "");
    EXPECT_EQ(unix_address::of_socket(make_socket().get()).path(), "");
    const file_descriptor tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(tcp.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
    EXPECT_EQ(unix_address::of_socket(tcp.get()).path(), "");
}

} // namespace
} // namespace dlhandoff::test
