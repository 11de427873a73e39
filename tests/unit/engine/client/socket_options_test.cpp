#include "engine/client/socket_options.hpp"

#include "tests/unit/engine/download.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

template <class Value>
Value option_of(int socket, int level, int name) {
    Value value{};
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(socket, level, name, &value, &size), 0);
    return value;
}

TEST(socket_options, are_set_and_given_back) {
    const tcp_pair connection;
    const int socket = connection.server.get();
    const auto pacing = option_of<std::uint64_t>(socket, SOL_SOCKET, SO_MAX_PACING_RATE);
    EXPECT_EQ(pacing, engine::unpaced);
    engine::set_pacing_rate(socket, 5'000'000'000);
    EXPECT_EQ(option_of<std::uint64_t>(socket, SOL_SOCKET, SO_MAX_PACING_RATE), 5'000'000'000U);
    engine::set_pacing_rate(socket, engine::unpaced);
    EXPECT_EQ(option_of<std::uint64_t>(socket, SOL_SOCKET, SO_MAX_PACING_RATE), pacing);

    engine::set_notsent_low_water(socket, 65'536);
    EXPECT_EQ(option_of<int>(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 65'536);
    engine::set_notsent_low_water(socket, 0);
    EXPECT_EQ(option_of<int>(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);

    engine::set_user_timeout(socket, std::chrono::seconds(3));
    EXPECT_EQ(option_of<unsigned>(socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 3'000U);
    engine::set_user_timeout(socket, std::chrono::milliseconds(0));
    EXPECT_EQ(option_of<unsigned>(socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 0U);
}

} // namespace
} // namespace dlhandoff::test
