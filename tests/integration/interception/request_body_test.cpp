// Request bodies that come late, or that nobody wants.
#include "tests/integration/harness/site.hpp"

#include <algorithm>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

class request_bodies : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(request_bodies, EVERY_SETUP);

std::string with_body(std::string head, std::string_view fields) {
    head.insert(head.size() - 2, fields);
    return head;
}

TEST_P(request_bodies, that_come_late_are_never_taken_for_requests) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"cache", "cache_disk"}, .configuration = R"(
CacheRoot ${ROOT}/cache
CacheEnable disk /cached
CacheIgnoreNoLastMod On
CacheDefaultExpire 3600
ErrorDocument 403 /error-page
ErrorDocument 404 /error-page
<Location /forbidden>
    Require all denied
</Location>
)"},
               .start = false});
    here.directory().make_directory("cache", true);
    here.httpd().start();
    for (const char* name : {"file", "cached", "error-page"})
        here.add_document(name, size);
    // Until the cache has it.
    ASSERT_TRUE(eventually([&] {
        (void)here.client().get("/cached");
        const std::filesystem::recursive_directory_iterator all(here.directory() / "cache");
        return std::any_of(begin(all), end(all),
                           [](const auto& entry) { return entry.path().extension() == ".header"; });
    }));
    const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: main.test\r\n\r\n";
    struct body {
        std::string fields, bytes;
    };
    const std::vector<body> bodies{{"Content-Length: " + std::to_string(smuggled.size()) + "\r\n", smuggled},
                                   {"Content-Length: 5\r\n", smuggled.substr(0, 5)},
                                   {"Transfer-Encoding: chunked\r\n", "2b\r\n" + smuggled + "\r\n0\r\n\r\n"}};
    for (const auto& [path, status] : {std::pair{"/file", 200}, std::pair{"/cached", 200},
                                       std::pair{"/missing", 404}, std::pair{"/forbidden", 403}})
        for (const body& one : bodies) {
            SCOPED_TRACE(path + (' ' + one.fields));
            auto raw = here.connect();
            raw.send(with_body(here.get_request(path, new_probe()), one.fields));
            // Some handlers wait for the body before they answer, others don't.
            (void)raw.has_input(100ms);
            raw.send(one.bytes);
            const std::string head = raw.read_head();
            EXPECT_EQ(status_of(head), status) << head;
            EXPECT_EQ(field_of(head, "Connection"), "");
            EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
            raw.send(here.get_request("/ready", new_probe()));
            EXPECT_EQ(status_of(raw.read_head()), 200);
            EXPECT_EQ(raw.read(6), "ready\n");
        }
    EXPECT_EQ(read_file(here.directory() / "logs/access.log").find("smuggled"), std::string::npos);
    EXPECT_GT(here.httpd().requests_with_note("claimed"), 0U);
}

/// Answered while it uploads: it reads when it has sent everything, as simple clients do.
TEST_P(request_bodies, that_are_too_large_end_with_the_whole_error_document) {
    site here({.how = GetParam(),
               .httpd = {.configuration = "LimitRequestBody 1000\nErrorDocument 413 /too-large\n"
                                          "DLHandoffMinSize 0\n"}});
    // One that the client's window takes at once: so that it has been acknowledged, and unread input matters.
    constexpr std::uint64_t page = 20'000;
    here.add_document("too-large", page);
    constexpr std::size_t piece_size = 2000;
    const std::string piece(piece_size, 'u');
    // The manager must read on for longer than it would wait for a silent client.
    constexpr auto upload_time = 3s;
    for (bool undisturbed = false; !undisturbed;) {
        const std::string probe = new_probe();
        auto raw = here.connect();
        raw.send(with_body(here.get_request("/upload", probe), "Content-Length: 100000000\r\n"));
        ASSERT_EQ(here.httpd().note_of(probe), "claimed");
        const auto until = std::chrono::steady_clock::now() + upload_time;
        auto last = std::chrono::steady_clock::now();
        auto longest_pause = last - last;
        bool was_sent = true;
        while (was_sent && last < until) {
            try {
                raw.send(piece);
            } catch (const std::exception&) { // a reset
                was_sent = false;
            }
            std::this_thread::sleep_for(10ms);
            longest_pause = std::max(longest_pause, std::chrono::steady_clock::now() - last);
            last = std::chrono::steady_clock::now();
        }
        // A machine that stalls for so long makes a silent client of ours, whom nobody owes any more.
        undisturbed = longest_pause < 1s;
        if (!undisturbed)
            continue;
        EXPECT_TRUE(was_sent);
        raw.half_close();
        const std::string head = raw.read_head();
        EXPECT_EQ(status_of(head), 413) << head;
        EXPECT_EQ(field_of(head, "Connection"), "close");
        EXPECT_TRUE(raw.read_to_end() == sequence_bytes(0, page));
        EXPECT_FALSE(raw.was_reset());
        EXPECT_EQ(here.transfers().transfer(probe)->at("outcome"), "complete");
    }
}

} // namespace
} // namespace dlhandoff::test
