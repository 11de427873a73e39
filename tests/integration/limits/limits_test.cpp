// How many downloads go on at once, how many wait and for how long, and what the others get.
#include "tests/integration/harness/tls_client.hpp"
#include "tests/integration/limits/limited_site.hpp"

#include <algorithm>
#include <set>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t large = 8 << 20;

class limits : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(limits, EVERY_SETUP);

TEST_P(limits, a_second_download_waits_until_the_first_has_ended) {
    site here(limited(GetParam(), {.transfers = 1}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/file", "second");
    expect_waiting(here, second, "second");
    expect_document(first, large);
    expect_document(second, large);
    for (const std::string probe : {"first", "second"}) {
        const auto line = here.transfers().transfer(probe);
        ASSERT_TRUE(line) << probe;
        EXPECT_EQ(line->at("outcome"), "complete");
        EXPECT_EQ(line->at("queued_ms") > 0, probe == "second") << line->dump();
    }
}

TEST_P(limits, of_transfers_hold_over_all_children) {
    constexpr std::size_t clients = 6;
    site here(limited(GetParam(), {.transfers = 2}));
    here.add_document("file", large);
    std::vector<raw_client> waiting;
    std::vector<std::string> probes;
    for (std::size_t i = 0; i < clients; ++i) {
        probes.push_back("client-" + std::to_string(i));
        waiting.push_back(here.connect(small_receive_buffer));
        // A child of prefork that reads a request takes no other: so each of them comes to have one.
        waiting.back().send("GET /file HTTP/1.1\r\n");
    }
    // The last one first: when it has been accepted, so have all before it.
    for (std::size_t i = clients; i-- > 0;) {
        waiting[i].send("Host: main.test\r\nX-Probe: " + probes[i] + "\r\n\r\n");
        EXPECT_EQ(here.httpd().note_of(probes[i]), "claimed");
    }
    // Whoever is answered is read to the end; two at a time, and no more.
    while (!waiting.empty()) {
        const auto answered = [&] {
            return static_cast<std::size_t>(
                std::ranges::count_if(waiting, [](const raw_client& one) { return one.has_input(0ms); }));
        };
        const std::size_t expected = std::min<std::size_t>(2, waiting.size());
        ASSERT_TRUE(eventually([&] { return answered() == expected; })) << answered();
        const auto next =
            std::ranges::find_if(waiting, [](const raw_client& one) { return one.has_input(0ms); });
        expect_document(*next, large);
        waiting.erase(next);
    }
    std::set<std::string> managers;
    for (const std::string& probe : probes) {
        const auto line = here.transfers().transfer(probe);
        ASSERT_TRUE(line) << probe;
        EXPECT_EQ(line->at("outcome"), "complete");
        managers.insert(line->at("manager"));
    }
    if (GetParam().mpm == "prefork" && !GetParam().service) {
        EXPECT_EQ(managers.size(), clients) << "the test is of no use if one child has them all";
    }
}

TEST_P(limits, who_waits_too_long_gets_503_and_goes_on) {
    site here(limited(GetParam(), {.transfers = 1, .queue = 10, .queue_timeout = "200ms"}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/file", "second");
    const std::string head = second.read_head();
    EXPECT_EQ(status_of(head), 503) << head;
    EXPECT_EQ(field_of(head, "Retry-After"), "1") << head;
    EXPECT_NE(second.read(std::stoul(field_of(head, "Content-Length"))).find("try again"), std::string::npos);
    second.send(here.get_request("/ready", "next"));
    EXPECT_EQ(status_of(second.read_head()), 200);
    EXPECT_EQ(second.read(6), "ready\n");
    const auto line = here.transfers().transfer("second");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("outcome"), "queue-timeout");
    EXPECT_EQ(line->at("status"), 503);
    EXPECT_GE(line->at("queued_ms"), 200);
    expect_document(first, large);
}

TEST_P(limits, who_waits_too_long_over_https_gets_503_too) {
    auto options = limited(GetParam(), {.transfers = 1, .queue = 10, .queue_timeout = "200ms"});
    options.https = "";
    site here(std::move(options));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    tls_client second(here.httpd().address(), https_port);
    second.send(here.get_request("/file", "second"));
    const std::string head = second.read_head();
    EXPECT_EQ(status_of(head), 503) << head;
    EXPECT_EQ(field_of(head, "Retry-After"), "1");
    // What was promised for the connection holds.
    EXPECT_EQ(field_of(head, "Connection"), "close");
    EXPECT_EQ(std::to_string(second.read_to_end().size()), field_of(head, "Content-Length"));
    EXPECT_TRUE(second.ended_cleanly());
    EXPECT_EQ(here.transfers().transfer("second")->at("outcome"), "queue-timeout");
}

TEST_P(limits, without_a_queue_httpd_serves_what_is_too_much) {
    site here(limited(GetParam(), {.transfers = 1, .queue = 0}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    here.expect_served(here.client().get("/file"), "file", "full");
    expect_document(first, large);
    // There is room again.
    ASSERT_TRUE(here.transfers().transfer("first"));
    here.expect_handed_off(here.client().get("/file"), "file");
}

TEST_P(limits, without_a_queue_what_is_too_much_gets_503_if_so_asked) {
    site here(limited(GetParam(), {.transfers = 1, .queue = 0, .queue_timeout = "45s"},
                      "DLHandoffWhenFull busy\n"));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto client = here.client();
    const auto busy = client.get("/file");
    EXPECT_EQ(busy.error, CURLE_OK);
    EXPECT_EQ(busy.status, 503);
    EXPECT_EQ(busy.field("Retry-After"), "45");
    EXPECT_NE(busy.body.find("try again"), std::string::npos) << busy.body;
    EXPECT_TRUE(eventually([&] {
        return read_file(here.directory() / "logs/access.log").find(busy.probe + "\tdeclined:full\t503\t") !=
               std::string::npos;
    })) << read_file(here.directory() / "logs/access.log");
    const auto next = client.get("/ready");
    EXPECT_EQ(next.body, "ready\n");
    EXPECT_EQ(next.new_connections, 0) << "the connection has not gone on after\n" << busy.head;
    expect_document(first, large);
}

TEST_P(limits, of_a_client_bind_that_client_alone) {
    site here(limited(GetParam(), {.per_client = 1}, "DLHandoffClient \"%{HTTP:X-Customer}\"\n"));
    here.add_document("file", large);
    auto ann = ask(here, "/file", "ann-1", "X-Customer: ann\r\n");
    ASSERT_TRUE(ann.has_input(10s));
    auto bob = ask(here, "/file", "bob-1", "X-Customer: bob\r\n");
    ASSERT_TRUE(bob.has_input(10s));
    auto ann_again = ask(here, "/file", "ann-2", "X-Customer: ann\r\n");
    expect_waiting(here, ann_again, "ann-2");
    expect_document(bob, large);
    expect_waiting(here, ann_again, "ann-2");
    expect_document(ann, large);
    expect_document(ann_again, large);
    for (const std::string probe : {"ann-1", "bob-1", "ann-2"}) {
        const auto line = here.transfers().transfer(probe);
        ASSERT_TRUE(line) << probe;
        EXPECT_EQ(line->at("client_key"), probe.substr(0, 3));
        EXPECT_EQ(line->at("client"), "127.0.0.1");
    }
}

TEST_P(limits, a_waiting_client_that_resets_frees_its_place) {
    site here(limited(GetParam(), {.transfers = 1, .queue = 1}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/file", "second");
    expect_waiting(here, second, "second");
    // The queue has one place, for all children together.
    here.expect_served(here.client().get("/file"), "file", "full");
    second.reset();
    const auto left = here.transfers().transfer("second");
    ASSERT_TRUE(left);
    EXPECT_EQ(left->at("outcome"), "client-closed");
    EXPECT_EQ(left->at("sent"), 0);
    EXPECT_EQ(left->at("delivered"), 0);
    auto third = ask(here, "/file", "third");
    expect_waiting(here, third, "third");
    expect_document(first, large);
    expect_document(third, large);
}

TEST_P(limits, a_waiting_client_that_only_sends_no_more_has_its_download) {
    site here(limited(GetParam(), {.transfers = 1}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/file", "second");
    expect_waiting(here, second, "second");
    second.half_close();
    expect_document(first, large);
    expect_document(second, large);
    const auto line = here.transfers().transfer("second");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("outcome"), "complete");
}

TEST(limits_of_the_service, that_are_raised_by_a_reload_let_those_start_who_wait) {
    site here(limited({"event", true}, {.transfers = 1}));
    here.add_document("file", large);
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/file", "second");
    expect_waiting(here, second, "second");
    const std::string file = here.directory() / "manager/dlmanagerd.toml";
    std::string text = read_file(file);
    const std::string before = "[limits]\ntransfers = 1\n";
    ASSERT_NE(text.find(before), std::string::npos) << text;
    write_file(file, text.replace(text.find(before), before.size(), "[limits]\ntransfers = 2\n"));
    here.manager().signal(SIGHUP);
    // The first one has not ended.
    expect_document(second, large);
    expect_document(first, large);
}

TEST(limits_of_a_class, bind_its_downloads_alone) {
    site here(
        limited({"event", true}, {},
                "<Location /bulk>\nDLHandoffClass bulk\n</Location>\n<Location /unknown>\nDLHandoffClass "
                "nosuchclass\n</Location>\nAlias /bulk htdocs\nAlias /unknown htdocs\n",
                "[class.bulk]\ntransfers = 1\n"));
    here.add_document("file", large);
    auto first = ask(here, "/bulk/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    auto second = ask(here, "/bulk/file", "second");
    expect_waiting(here, second, "second");
    for (const std::string path : {"/file", "/unknown/file"}) {
        const auto other = here.client().get(path);
        here.expect_handed_off(other, "file");
        EXPECT_EQ(here.transfers().transfer(other.probe)->at("class"), "default") << path;
    }
    expect_document(first, large);
    expect_document(second, large);
    EXPECT_EQ(here.transfers().transfer("second")->at("class"), "bulk");
}

class rate_of_a_download : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(rate_of_a_download, EVERY_SETUP);

TEST_P(rate_of_a_download, counts_after_what_goes_first_at_full_speed) {
    constexpr std::uint64_t rate = 100 << 10;
    constexpr std::uint64_t first = 1 << 20;
    site here(limited(GetParam(), {}, "DLHandoffRate 100K after 1M\n"));
    here.add_document("file", large);
    // Time counts from before the request on: a busy machine makes it slower only.
    const auto begin = std::chrono::steady_clock::now();
    const auto since = [begin] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    auto client = here.connect();
    client.send(here.get_request("/file", "paced"));
    EXPECT_EQ(status_of(client.read_head()), 200);
    std::uint64_t got = client.read(first - 4096, 5s).size();
    // At that rate it would take 10 s.
    ASSERT_EQ(got, first - 4096);
    const double from = since();
    while (since() < from + 1) {
        got += client.read(1024, 5s).size();
        const double t = since();
        const double most = static_cast<double>(rate) * (t + 0.2) * 1.1;
        ASSERT_LE(static_cast<double>(got) - static_cast<double>(first), most) << "after " << t << " s";
    }
    EXPECT_GT(got, first);
    EXPECT_EQ(here.httpd().note_of("paced"), "claimed");
}

} // namespace
} // namespace dlhandoff::test
