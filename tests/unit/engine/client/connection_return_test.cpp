#include "engine/client/connection_return.hpp"

#include "tests/unit/engine/client/return_listener.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::return_connection;
using engine::return_failure;
using engine::return_result;

struct connection_return_test : testing::Test {
    [[nodiscard]] engine::return_policy policy() {
        return {{}, [this](const return_failure& failure) {
                    ++failures;
                    why = failure.why;
                }};
    }
    const tcp_pair connection;
    int failures = 0;
    return_failure::reason why{};
};

TEST_F(connection_return_test, gives_httpd_the_socket_and_the_count) {
    const return_listener httpd;
    EXPECT_TRUE(engine::can_return(httpd.path()));
    EXPECT_EQ(return_connection(connection.server.get(), 3, httpd.path(), policy()), return_result::returned);
    const auto returned = httpd.accept();
    ASSERT_TRUE(returned);
    EXPECT_EQ(returned->said.requests, 3U);
    ASSERT_EQ(::write(returned->client.get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(connection.client.get(), &byte, 1), 1);
    EXPECT_EQ(failures, 0);
}

TEST_F(connection_return_test, fails_where_httpd_has_stopped) {
    return_listener httpd;
    httpd.close();
    EXPECT_EQ(return_connection(connection.server.get(), 3, httpd.path(), policy()), return_result::failed);
    EXPECT_EQ(failures, 1);
    EXPECT_EQ(why, return_failure::reason::not_there);
}

TEST_F(connection_return_test, is_busy_while_the_backlog_is_full) {
    const return_listener httpd(1);
    auto last = return_result::returned;
    for (int i = 0; i < 10 && last == return_result::returned; ++i)
        last = return_connection(connection.server.get(), 1, httpd.path(), policy());
    EXPECT_EQ(last, return_result::busy);
    ASSERT_TRUE(httpd.accept());
    EXPECT_EQ(return_connection(connection.server.get(), 1, httpd.path(), policy()), return_result::returned);
    EXPECT_EQ(failures, 0);
}

TEST(connection_return, cannot_go_where_nothing_is_or_fits) {
    EXPECT_FALSE(engine::can_return("/nonexistent/return.sock"));
    EXPECT_FALSE(engine::can_return(std::string(500, 'x')));
}

TEST(connection_return, failures_are_described) {
    const std::string path = "/run/return.sock";
    using reason = return_failure::reason;
    EXPECT_NE(describe(return_failure{reason::not_there, path}).find(path), std::string::npos);
    EXPECT_NE(describe(return_failure{reason::stranger, path, 0, 4711}).find("4711"), std::string::npos);
    EXPECT_NE(describe(return_failure{reason::system, path, EACCES}).find("Permission denied"),
              std::string::npos);
}

} // namespace
} // namespace dlhandoff::test
