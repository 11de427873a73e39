#include "engine/client/tcp_progress.hpp"

#include "tests/unit/engine/download.hpp"

#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thread>

namespace dlhandoff::test {
namespace {

using engine::tcp_progress;

/// The acknowledgement comes by itself, in a moment.
bool soon(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
        if (std::chrono::steady_clock::now() > limit)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// As much as the socket takes.
std::uint64_t fill(int socket) {
    const std::string piece(65536, 'x');
    std::uint64_t all = 0;
    for (ssize_t taken; (taken = ::send(socket, piece.data(), piece.size(), MSG_DONTWAIT)) > 0;)
        all += static_cast<std::uint64_t>(taken);
    return all;
}

struct tcp_progress_test : testing::Test {
    tcp_pair connection;
    const int server = connection.server.get();

    void send(std::size_t bytes) const {
        const std::string text(bytes, 'x');
        ASSERT_EQ(::send(server, text.data(), bytes, 0), static_cast<ssize_t>(bytes));
    }
};

TEST_F(tcp_progress_test, counts_from_its_beginning_on) {
    send(1'000); // httpd's, before
    const tcp_progress progress(server);
    EXPECT_EQ(progress.written(server), 0U);
    EXPECT_EQ(progress.delivered(server, 0), 0U);
    send(2'000);
    EXPECT_EQ(progress.written(server), 2'000U);
    EXPECT_TRUE(soon([&] { return progress.delivered(server, 2'000) == 2'000; }));
    EXPECT_EQ(tcp_progress::unacknowledged(server), 0U);
}

TEST_F(tcp_progress_test, knows_what_a_client_that_does_not_read_leaves_behind) {
    const tcp_progress progress(server);
    const std::uint64_t written = fill(server);
    EXPECT_EQ(progress.written(server), written);
    EXPECT_LT(progress.delivered(server, written), written);
    EXPECT_GT(tcp_progress::unacknowledged(server), 0U);
    EXPECT_TRUE(soon([&] { return engine::unsent_bytes(server) > 0; }));
    EXPECT_LE(engine::unsent_bytes(server), tcp_progress::unacknowledged(server));
}

TEST_F(tcp_progress_test, does_not_count_the_fin) {
    const tcp_progress progress(server);
    send(100);
    ASSERT_EQ(::shutdown(server, SHUT_WR), 0);
    EXPECT_TRUE(soon([&] { return progress.delivered(server, 100) == 100; }));
}

TEST_F(tcp_progress_test, tells_the_states_of_a_connection) {
    EXPECT_TRUE(engine::is_tcp(server));
    EXPECT_TRUE(engine::is_connected(server));
    EXPECT_FALSE(engine::is_over(server));
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    EXPECT_TRUE(engine::is_connected(server)) << "half of it is";
    EXPECT_FALSE(engine::is_over(server));
    const ::linger reset{1, 0};
    ASSERT_EQ(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    connection.client.reset();
    EXPECT_TRUE(soon([&] { return engine::is_over(server); }));
    EXPECT_FALSE(engine::is_connected(server));
}

TEST(tcp_progress, is_tcps_only) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const file_descriptor one(pair[0]);
    const file_descriptor other(pair[1]);
    EXPECT_FALSE(engine::is_tcp(one.get()));
    EXPECT_FALSE(engine::is_connected(one.get()));
}

TEST(tcp_progress, tells_what_was_sent_from_what_only_waits) {
    tcp_pair connection;
    const int server = connection.server.get();
    ASSERT_EQ(::send(server, "before", 6, 0), 6);
    const tcp_progress progress(server);
    EXPECT_EQ(progress.written(server), 0U);
    EXPECT_EQ(progress.transmitted(server, 100), 0U);
    // A client that reads nothing has a window, beyond which the rest waits.
    const std::uint64_t written = fill(server);
    EXPECT_EQ(progress.written(server), written);
    const std::uint64_t transmitted = progress.transmitted(server, written);
    EXPECT_GT(transmitted, 0U);
    EXPECT_LT(transmitted, written);
    EXPECT_LE(progress.delivered(server, written), transmitted);
    EXPECT_EQ(progress.transmitted(server, 100), 100U);
}

TEST(tcp_progress, knows_after_a_reset_what_it_knew_before) {
    tcp_pair connection;
    const int server = connection.server.get();
    const tcp_progress progress(server);
    const std::uint64_t written = fill(server);
    const std::uint64_t transmitted = progress.transmitted(server, written);
    connection.client.reset(); // with bytes unread: a reset
    EXPECT_TRUE(engine::is_over(server));
    EXPECT_EQ(progress.written(server), written);
    EXPECT_GE(progress.transmitted(server, written), transmitted);
    EXPECT_LT(progress.transmitted(server, written), written);
    EXPECT_LE(progress.delivered(server, written), progress.transmitted(server, written));
}

} // namespace
} // namespace dlhandoff::test
