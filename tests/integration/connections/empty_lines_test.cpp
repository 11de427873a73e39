// Empty lines that some clients send behind a request: httpd ignores them, and so must whoever has the
// connection.
#include "tests/integration/harness/site.hpp"

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

class empty_lines : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(empty_lines, EVERY_SETUP);

/// One worker in all: whoever holds it keeps everybody else out.
site_options one_worker(const setup& how) {
    return {.how = how, .httpd = {.processes = 1, .threads = 1, .configuration = "KeepAliveTimeout 30\n"}};
}

TEST_P(empty_lines, behind_a_request_do_not_keep_it_with_httpd) {
    site here(one_worker(GetParam()));
    here.add_document("file", size);
    auto raw = here.connect();
    for (const char* probe : {"first", "second"}) {
        raw.send(here.get_request("/file", probe) + "\r\n");
        const std::string head = raw.read_head();
        EXPECT_EQ(status_of(head), 200);
        EXPECT_EQ(field_of(head, "Connection"), "");
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
    }
}

TEST_P(empty_lines, behind_a_response_hold_no_worker) {
    site here(one_worker(GetParam()));
    here.add_document("file", size);
    auto raw = here.connect();
    for (const char* probe : {"first", "second"}) {
        raw.send(here.get_request("/file", probe));
        EXPECT_EQ(status_of(raw.read_head()), 200);
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        // The manager has the connection, with nothing to send.
        ASSERT_TRUE(here.transfers().transfer(probe));
        raw.send("\r\n");
        EXPECT_EQ(here.client().request({.path = "/ready", .within = 10s}).status, 200);
        raw.send("\n");
        EXPECT_EQ(here.client().request({.path = "/ready", .within = 10s}).status, 200);
    }
    raw.send(here.get_request("/ready", "last"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_EQ(raw.read(6), "ready\n");
}

} // namespace
} // namespace dlhandoff::test
