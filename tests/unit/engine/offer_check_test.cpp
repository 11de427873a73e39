#include "engine/offer_check.hpp"

#include "tests/unit/engine/download.hpp"

#include <algorithm>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

file_descriptor make_socket(int family, int type, int protocol = 0) {
    return file_descriptor(::socket(family, type | SOCK_CLOEXEC, protocol));
}

file_descriptor open(const std::string& path, int flags) {
    return file_descriptor(::open(path.c_str(), flags | O_CLOEXEC));
}

struct offer_check_test : testing::Test {
    [[nodiscard]] std::optional<refusal> check() const { return engine::check_offer(offered, descriptors); }
    [[nodiscard]] std::optional<refusal> check_with_client(file_descriptor client) {
        descriptors[0] = std::move(client);
        return check();
    }
    [[nodiscard]] std::optional<refusal> check_with_file(file_descriptor other) {
        descriptors[1] = std::move(other);
        return check();
    }

    void SetUp() override {
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
    }

    const sample_file file{1000};
    const offer offered = make_offer("head", file);
    tcp_pair connection;
    std::vector<file_descriptor> descriptors;
};

TEST_F(offer_check_test, what_the_offer_describes_is_taken) {
    EXPECT_EQ(check(), std::nullopt);
    EXPECT_EQ(check_with_file(open(file.path(), O_RDWR)), std::nullopt);
}

TEST_F(offer_check_test, looking_changes_nothing) {
    ASSERT_EQ(check(), std::nullopt);
    EXPECT_EQ(::lseek(descriptors[1].get(), 0, SEEK_CUR), 0);
    EXPECT_EQ(::send(descriptors[0].get(), "x", 1, 0), 1);
}

TEST_F(offer_check_test, too_few_descriptors) {
    descriptors.pop_back();
    EXPECT_EQ(check(), refusal::missing_descriptor);
    descriptors.clear();
    EXPECT_EQ(check(), refusal::missing_descriptor);
}

TEST_F(offer_check_test, too_many_descriptors) {
    descriptors.push_back(file.open());
    EXPECT_EQ(check(), refusal::extra_descriptor);
}

TEST_F(offer_check_test, a_client_that_is_no_tcp_socket) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const file_descriptor write_end(pipe_ends[1]);
    EXPECT_EQ(check_with_client(file_descriptor(pipe_ends[0])), refusal::not_tcp);
    EXPECT_EQ(check_with_client(file.open()), refusal::not_tcp);
    EXPECT_EQ(check_with_client(make_socket(AF_INET, SOCK_DGRAM)), refusal::not_tcp);
    EXPECT_EQ(check_with_client(make_socket(AF_UNIX, SOCK_STREAM)), refusal::not_tcp);
    EXPECT_EQ(check_with_client(make_socket(AF_UNIX, SOCK_SEQPACKET)), refusal::not_tcp);
    EXPECT_EQ(check_with_client(file_descriptor()), refusal::not_tcp);
}

/// A listener of Multipath TCP (mptcp(7)) accepts both kinds of clients.
TEST_F(offer_check_test, a_client_of_multipath_tcp_and_a_plain_one_at_the_same_listener) {
    const file_descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP));
    if (!listener)
        GTEST_SKIP() << "this kernel has no Multipath TCP, or it is off (net.mptcp.enabled)";
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(listener.get(), name, size), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), name, &size), 0);
    const auto accepted_from = [&](int client) {
        EXPECT_EQ(::connect(client, name, size), 0);
        file_descriptor accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        EXPECT_TRUE(accepted);
        return accepted;
    };
    const file_descriptor plain(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
    // The kernel makes an ordinary TCP socket of it when it is accepted.
    EXPECT_EQ(check_with_client(accepted_from(plain.get())), std::nullopt);
    const file_descriptor multipath(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP));
    EXPECT_EQ(check_with_client(accepted_from(multipath.get())), refusal::not_tcp);
}

TEST_F(offer_check_test, a_descriptor_that_is_closed) {
    // As a message can't bring one, but a bug can.
    ::close(descriptors[0].get());
    EXPECT_EQ(check(), refusal::not_tcp);
    static_cast<void>(descriptors[0].release());
}

TEST_F(offer_check_test, a_client_that_is_not_connected) {
    EXPECT_EQ(check_with_client(make_socket(AF_INET, SOCK_STREAM)), refusal::not_connected);
    file_descriptor listening = make_socket(AF_INET, SOCK_STREAM);
    ASSERT_EQ(::listen(listening.get(), 1), 0);
    EXPECT_EQ(check_with_client(std::move(listening)), refusal::not_connected);
}

TEST_F(offer_check_test, a_client_that_was_reset) {
    const struct linger option { 1, 0 };
    ASSERT_EQ(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option), 0);
    connection.client.reset();
    EXPECT_EQ(check(), refusal::not_connected);
}

TEST_F(offer_check_test, a_client_that_has_closed_its_half_may_still_read) {
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    EXPECT_EQ(check(), std::nullopt);
}

TEST_F(offer_check_test, a_connection_that_the_worker_has_shut_down) {
    ASSERT_EQ(::shutdown(descriptors[0].get(), SHUT_WR), 0);
    EXPECT_EQ(check(), refusal::not_connected);
}

TEST_F(offer_check_test, a_file_that_is_something_else) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const file_descriptor write_end(pipe_ends[1]);
    EXPECT_EQ(check_with_file(file_descriptor(pipe_ends[0])), refusal::not_regular_file);
    EXPECT_EQ(check_with_file(open("/var/tmp", O_RDONLY | O_DIRECTORY)), refusal::not_regular_file);
    EXPECT_EQ(check_with_file(open("/dev/null", O_RDONLY)), refusal::not_regular_file);
    EXPECT_EQ(check_with_file(make_socket(AF_INET, SOCK_STREAM)), refusal::not_regular_file);
    EXPECT_EQ(check_with_file(file_descriptor()), refusal::not_regular_file);
}

TEST_F(offer_check_test, a_file_that_cannot_be_read) {
    EXPECT_EQ(check_with_file(open(file.path(), O_WRONLY)), refusal::not_readable);
    EXPECT_EQ(check_with_file(open(file.path(), O_PATH)), refusal::not_readable);
}

TEST_F(offer_check_test, another_file_of_the_same_size_and_time) {
    const sample_file other(1000);
    const file_identity wanted = file.identity();
    const timespec times[2] = {
        {0, UTIME_OMIT},
        {wanted.modified_nanoseconds / 1'000'000'000, wanted.modified_nanoseconds % 1'000'000'000}};
    ASSERT_EQ(::utimensat(AT_FDCWD, other.path().c_str(), times, 0), 0);
    EXPECT_EQ(check_with_file(other.open()), refusal::file_changed);
}

TEST_F(offer_check_test, a_file_that_got_shorter_or_longer) {
    for (const file_check how : {file_check::size, file_check::mtime}) {
        const offer one = make_offer("head", file, {}, {}, {.check = how});
        ASSERT_EQ(::truncate(file.path().c_str(), 999), 0);
        EXPECT_EQ(engine::check_offer(one, descriptors), refusal::file_changed);
        ASSERT_EQ(::truncate(file.path().c_str(), 1001), 0);
        EXPECT_EQ(engine::check_offer(one, descriptors), std::nullopt);
        ASSERT_EQ(::truncate(file.path().c_str(), 1000), 0);
    }
}

TEST_F(offer_check_test, a_file_with_another_time) {
    const offer strict = make_offer("head", file, {}, {}, {.check = file_check::mtime});
    EXPECT_EQ(engine::check_offer(strict, descriptors), std::nullopt);
    const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 1}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.path().c_str(), times, 0), 0);
    EXPECT_EQ(check(), std::nullopt);
    EXPECT_EQ(engine::check_offer(strict, descriptors), refusal::file_changed);
}

TEST_F(offer_check_test, the_order_of_several_files_matters) {
    const sample_file other(1000);
    const std::vector<file_identity> identities{file.identity(), other.identity()};
    const std::vector<plan_piece> pieces{{plan_piece::source::file, 0, 0, 1000},
                                         {plan_piece::source::file, 1, 0, 1000}};
    const auto made = offer::make({}, identities, pieces, {});
    ASSERT_TRUE(std::holds_alternative<offer>(made));
    descriptors.push_back(other.open());
    EXPECT_EQ(engine::check_offer(std::get<offer>(made), descriptors), std::nullopt);
    std::swap(descriptors[1], descriptors[2]);
    EXPECT_EQ(engine::check_offer(std::get<offer>(made), descriptors), refusal::file_changed);
}

} // namespace
} // namespace dlhandoff::test
