#include "engine/client/client_input.hpp"

#include "tests/unit/engine/download.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

using engine::client_input;
using engine::drop_input;
using engine::peek_input;

struct client_input_test : testing::Test {
    tcp_pair connection;
    const file_descriptor& server = connection.server;

    void send(std::string_view text) const {
        ASSERT_EQ(::send(connection.client.get(), text.data(), text.size(), 0),
                  static_cast<ssize_t>(text.size()));
    }
    void reset() {
        const ::linger option{1, 0};
        ASSERT_EQ(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option), 0);
        connection.client.reset();
    }
};

TEST_F(client_input_test, is_none_while_the_client_is_silent) {
    EXPECT_EQ(peek_input(server.get()), client_input::none);
    EXPECT_EQ(drop_input(server.get()), client_input::none);
}

TEST_F(client_input_test, that_is_peeked_at_stays) {
    send("GET");
    EXPECT_EQ(peek_input(server.get()), client_input::bytes);
    EXPECT_EQ(peek_input(server.get()), client_input::bytes);
    std::string read;
    ASSERT_TRUE(read_available(server.get(), read));
    EXPECT_EQ(read, "GET");
}

TEST_F(client_input_test, that_is_dropped_is_gone) {
    send(std::string(30'000, 'x'));
    EXPECT_EQ(drop_input(server.get()), client_input::none);
    EXPECT_EQ(peek_input(server.get()), client_input::none);
}

TEST_F(client_input_test, ends_behind_its_last_byte) {
    send("GET");
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    EXPECT_EQ(peek_input(server.get()), client_input::bytes);
    EXPECT_EQ(drop_input(server.get()), client_input::ended);
    EXPECT_EQ(peek_input(server.get()), client_input::ended);
}

TEST_F(client_input_test, has_failed_with_a_reset) {
    reset();
    EXPECT_EQ(peek_input(server.get()), client_input::failed);
}

} // namespace
} // namespace dlhandoff::test
