// Connections whose httpd child ends while they wait for their clients' next requests, and what counts for
// MaxConnectionsPerChild.
#include "tests/integration/harness/site.hpp"

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

/// Downloads over the connection, which goes on, and waits until the manager has nothing left of it but the
/// connection.
void download(const site& here, raw_client& over, const std::string& probe) {
    over.send(here.get_request("/file", probe));
    const std::string head = over.read_head();
    ASSERT_EQ(status_of(head), 200);
    ASSERT_EQ(field_of(head, "Connection"), "");
    ASSERT_TRUE(over.read(size) == sequence_bytes(0, size));
    ASSERT_EQ(here.httpd().note_of(probe), "claimed");
    ASSERT_TRUE(here.transfers().transfer(probe));
}

class ending_children : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(ending_children, EVERY_EMBEDDED);

TEST_P(ending_children, keep_idle_connections_over_graceful_restarts) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 20s\n"}});
    here.add_document("file", size);
    auto raw = here.connect();
    for (int i = 0; i < 3; ++i) {
        SCOPED_TRACE(i);
        download(here, raw, "download" + std::to_string(i));
        here.httpd().graceful_restart();
    }
    download(here, raw, "last");
}

TEST_P(ending_children, end_when_the_time_of_their_idle_connections_is_up) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 300ms\n"}});
    here.add_document("file", size);
    auto raw = here.connect();
    download(here, raw, "only");
    here.httpd().graceful_restart_when_idle();
    EXPECT_TRUE(raw.ends(10s));
    EXPECT_FALSE(raw.was_reset());
}

TEST(ending_prefork_children, keep_idle_connections_when_they_have_had_their_number) {
    site here(
        {.how = {"prefork"}, .httpd = {.configuration = "KeepAliveTimeout 20s\nMaxConnectionsPerChild 1\n"}});
    here.add_document("file", size);
    auto raw = here.connect();
    for (int i = 0; i < 4; ++i) {
        SCOPED_TRACE(i);
        download(here, raw, "download" + std::to_string(i));
    }
}

class connection_count : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(connection_count, setup{"prefork"}, setup{"prefork", true});

TEST_P(connection_count, of_a_prefork_child_has_each_connection_once) {
    constexpr int most = 20;
    site here({.how = GetParam(),
               .httpd = {.processes = 1,
                         .configuration = "MaxKeepAliveRequests 0\nMaxConnectionsPerChild " +
                                          std::to_string(most) + '\n'}});
    here.add_document("file", size);
    const auto children = here.httpd().children();
    ASSERT_EQ(children.size(), 1U);
    {
        auto raw = here.connect();
        for (int i = 0; i < 2 * most; ++i) {
            SCOPED_TRACE(i);
            download(here, raw, "download" + std::to_string(i));
        }
    }
    EXPECT_EQ(here.httpd().children(), children);
    // It counts on with the connections that are new.
    for (int i = 0; i < most; ++i) {
        auto raw = here.connect();
        raw.send(here.get_request("/ready", new_probe(), "Connection: close\r\n"));
        EXPECT_EQ(status_of(raw.read_head()), 200) << i;
        EXPECT_TRUE(raw.ends(10s));
    }
    EXPECT_TRUE(eventually([&] {
        const auto now = here.httpd().children();
        return now.size() == 1 && now != children;
    }));
}

} // namespace
} // namespace dlhandoff::test
