// What clients do with their connections, and what becomes of httpd's workers meanwhile.
#include "tests/integration/harness/site.hpp"

#include <atomic>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;
constexpr std::uint64_t large = 32 << 20;

class connections : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(connections, EVERY_SETUP);

TEST_P(connections, of_http_1_0_and_1_1_are_handed_off) {
    site here({.how = GetParam()});
    here.add_document("file", size);
    auto client = here.client();
    here.expect_handed_off(client.request({.path = "/file", .version = CURL_HTTP_VERSION_1_1}), "file");
    const auto old = client.request({.path = "/file", .version = CURL_HTTP_VERSION_1_0});
    here.expect_handed_off(old, "file");
    // Several chunks of a request, as slow typists and small segments have it.
    auto raw = here.connect();
    const std::string request = here.get_request("/file", "pieces", "Connection: close\r\n");
    raw.send(request.substr(0, 20));
    raw.send(request.substr(20));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_EQ(raw.read_to_end(), sequence_bytes(0, size));
    EXPECT_EQ(here.httpd().note_of("pieces"), "claimed");
}

class connections_of_http_2 : public ::testing::TestWithParam<setup> {};
// mod_http2 does not work on prefork.
INSTANTIATE_FOR_SETUPS(connections_of_http_2, setup{"worker"}, setup{"event"}, setup{"event", true});

TEST_P(connections_of_http_2, are_left_alone) {
    site here(
        {.how = GetParam(),
         .httpd = {.modules = {"http2"}, .configuration = "Protocols h2c http/1.1\nDLHandoffMinSize 0\n"}});
    // One that libcurl's buffer takes at once: what follows the 101 of an upgrade must fit there.
    here.add_document("file", 10'000);
    // HTTP/2 from the first byte, and upgraded to from HTTP/1.1 by the request itself.
    for (const long version : {CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, CURL_HTTP_VERSION_2_0}) {
        SCOPED_TRACE(version);
        const auto response = here.client().request({.path = "/file", .version = version});
        here.expect_served(response, "file");
        EXPECT_NE(response.head.find("HTTP/2 200"), std::string::npos) << response.head;
    }
    EXPECT_EQ(here.httpd().requests_with_note("declined:http2"), 2U);
    here.expect_handed_off(here.client().get("/file"), "file");
}

TEST_P(connections, with_pipelined_requests_are_answered_in_order) {
    site here({.how = GetParam()});
    here.add_document("first", size);
    here.add_document("second", size + 1);
    here.add_document("small", 1000);
    const auto expect_answers = [&](const std::vector<std::string>& names) {
        std::string requests;
        for (const std::string& name : names)
            requests += here.get_request("/" + name, new_probe());
        auto raw = here.connect();
        raw.send(requests);
        for (const std::string& name : names) {
            SCOPED_TRACE(name);
            const std::string head = raw.read_head();
            ASSERT_EQ(status_of(head), 200) << head;
            const auto length = std::filesystem::file_size(here.document(name));
            EXPECT_EQ(field_of(head, "Content-Length"), std::to_string(length));
            EXPECT_TRUE(raw.read(length) == sequence_bytes(0, length));
            if (name != names.back()) {
                EXPECT_NE(field_of(head, "Connection"), "close");
            }
        }
    };
    expect_answers({"first", "small"});
    expect_answers({"small", "first"});
    expect_answers({"first", "second"});
    expect_answers({"small", "first", "small", "second", "first"});
}

TEST_P(connections, of_clients_that_half_close_are_handed_off) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    auto raw = here.connect(small_receive_buffer);
    raw.send(here.get_request("/file", "half"));
    raw.half_close();
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read_to_end() == sequence_bytes(0, large));
    EXPECT_FALSE(raw.was_reset());
    raw.close();
    EXPECT_EQ(here.httpd().note_of("half"), "claimed");
    const auto transfer = here.transfers().transfer("half");
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("outcome"), "complete");
}

TEST_P(connections, with_request_bodies_are_answered_right) {
    site here({.how = GetParam()});
    here.add_document("file", size);
    here.add_document("small", 1000);
    auto client = here.client();
    for (const std::size_t length : {std::size_t{1}, std::size_t{1000}, std::size_t{300'000}}) {
        SCOPED_TRACE(length);
        const auto response = client.request({.path = "/file", .content = std::string(length, 'b')});
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body_sha256, sha256_of_file(here.document("file")));
        const auto next = client.get("/small");
        EXPECT_EQ(next.status, 200);
        EXPECT_EQ(next.body, sequence_bytes(0, 1000));
    }
    // A body that comes late must not be left to the manager, nor taken for the next request.
    auto raw = here.connect();
    raw.send(here.get_request("/file", "late", "Content-Length: 10\r\n"));
    raw.send("0123456789" + here.get_request("/small", "after"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
}

TEST_P(connections, that_end_mid_way_are_logged_with_what_was_delivered) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    for (const bool with_reset : {false, true}) {
        SCOPED_TRACE(with_reset);
        const std::string probe = new_probe();
        auto raw = here.connect(small_receive_buffer);
        raw.send(here.get_request("/file", probe));
        const std::string head = raw.read_head();
        constexpr std::uint64_t read = 2 << 20;
        EXPECT_TRUE(raw.read(read) == sequence_bytes(0, read));
        if (with_reset)
            raw.reset();
        else
            raw.close();
        const auto transfer = here.transfers().transfer(probe);
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "client-closed");
        EXPECT_EQ(transfer->at("expected"), head.size() + large);
        EXPECT_GE(transfer->at("delivered"), head.size() + read);
        EXPECT_LE(transfer->at("delivered"), transfer->at("sent"));
        EXPECT_LT(transfer->at("sent"), head.size() + large);
        // What it had not read is in its buffer at most: twice SO_RCVBUF (socket(7)).
        EXPECT_LE(transfer->at("delivered"), head.size() + read + 4 * small_receive_buffer);
    }
}

TEST_P(connections, of_100_clients_at_once_get_every_byte) {
    site here({.how = GetParam()});
    here.add_document("file", 1 << 20);
    const std::string expected = sha256_of_file(here.document("file"));
    std::atomic<int> right = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 100; ++i)
        clients.emplace_back([&] {
            auto client = here.client();
            const auto response = client.get("/file");
            right += response.error == CURLE_OK && response.status == 200 && response.body_sha256 == expected;
        });
    for (std::thread& one : clients)
        one.join();
    EXPECT_EQ(right, 100);
    EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") == 100; }))
        << here.httpd().requests_with_note("claimed");
    EXPECT_TRUE(eventually([&] { return here.transfers().lines().size() == 100; }));
}

TEST_P(connections, that_are_slow_hold_no_worker_alone) {
    // One worker in all.
    site here({.how = GetParam(), .httpd = {.processes = 1, .threads = 1}});
    here.add_document("file", large);
    here.add_document("small", 1000);
    std::vector<raw_client> slow;
    for (int i = 0; i < 5; ++i) {
        auto& one = slow.emplace_back(here.connect(small_receive_buffer));
        one.send(here.get_request("/file", "slow" + std::to_string(i)));
        EXPECT_EQ(status_of(one.read_head()), 200);
        EXPECT_EQ(here.httpd().note_of("slow" + std::to_string(i)), "claimed");
    }
    std::uint64_t read = 0;
    auto client = here.client();
    for (int i = 0; i < 20; ++i) {
        // 50 kB/s: a client's share of a tenth of a second, then a page for somebody else.
        for (auto& one : slow)
            EXPECT_TRUE(one.read(5000) == sequence_bytes(read, 5000));
        read += 5000;
        // While the worker sent to a slow client, whom nobody lets go on here, this would never come.
        EXPECT_EQ(client.get("/small").status, 200);
        std::this_thread::sleep_for(100ms);
    }
    for (auto& one : slow)
        one.reset();
}

} // namespace
} // namespace dlhandoff::test
