// Connections that come back to httpd after a download (plain HTTP).
#include "tests/integration/harness/site.hpp"

#include <map>
#include <sstream>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

/// A log of what httpd knows of each connection, and vhosts by name, by port and by the client's address.
constexpr const char* configuration = R"(MaxKeepAliveRequests 0
LogFormat "%{X-Probe}i %h %a %{c}a %{remote}p %A %{local}p %v %k" connections
CustomLog logs/connections.log connections
Listen ${ADDRESS}:8081
<VirtualHost *:*>
ServerName main.test
</VirtualHost>
<VirtualHost *:*>
ServerName other.test
</VirtualHost>
<VirtualHost ${ADDRESS}:8081>
ServerName by-port.test
</VirtualHost>
<Location /for-us>
Require ip 127.0.0.0/8
</Location>
<Location /for-others>
Require ip 192.0.2.0/24
</Location>
)";

struct logged_connection {
    std::string host, client, peer, peer_port, own, port, vhost;
    int requests = 0;
};

/// By X-Probe.
std::map<std::string, logged_connection> connections_log(const site& here) {
    std::map<std::string, logged_connection> all;
    std::istringstream lines(read_file(here.directory() / "logs/connections.log"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string probe;
        logged_connection one;
        words >> probe >> one.host >> one.client >> one.peer >> one.peer_port >> one.own >> one.port >>
            one.vhost >> one.requests;
        all[probe] = one;
    }
    return all;
}

logged_connection logged(const site& here, const std::string& probe) {
    logged_connection found;
    EXPECT_TRUE(eventually([&] {
        const auto all = connections_log(here);
        const auto at = all.find(probe);
        if (at != all.end())
            found = at->second;
        return at != all.end();
    })) << probe;
    return found;
}

std::size_t open_descriptors(pid_t process) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(process) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

class keep_alive : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(keep_alive, EVERY_SETUP);

TEST_P(keep_alive, a_thousand_requests_half_of_them_handed_off_use_one_connection) {
    site here({.how = GetParam(), .httpd = {.configuration = configuration}});
    here.add_document("file", size);
    const std::string expected = sha256_of_file(here.document("file"));
    auto client = here.client();
    constexpr int requests = 1000;
    long new_connections = 0;
    std::vector<std::string> probes;
    for (int i = 0; i < requests; ++i) {
        const bool download = i % 2 == 1;
        const auto response = client.request({.path = download ? "/file" : "/ready",
                                              .fields = {i % 3 == 0 ? "Host: other.test" : "Host: main.test"},
                                              .keep_body = !download});
        ASSERT_EQ(response.error, CURLE_OK) << i;
        ASSERT_EQ(response.status, 200) << i;
        if (download) {
            ASSERT_EQ(response.body_sha256, expected) << i;
        } else {
            ASSERT_EQ(response.body, "ready\n") << i;
        }
        new_connections += response.new_connections;
        probes.push_back(response.probe);
    }
    EXPECT_EQ(new_connections, 1);
    EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") == requests / 2; }))
        << here.httpd().requests_with_note("claimed");
    EXPECT_TRUE(eventually([&] { return connections_log(here).size() >= requests; }));
    const auto log = connections_log(here);
    const std::string peer_port = logged(here, probes.front()).peer_port;
    for (int i = 0; i < requests; ++i) {
        SCOPED_TRACE(i);
        const auto found = log.find(probes[static_cast<std::size_t>(i)]);
        ASSERT_NE(found, log.end());
        const logged_connection& line = found->second;
        EXPECT_EQ(line.host, "127.0.0.1");
        EXPECT_EQ(line.client, "127.0.0.1");
        EXPECT_EQ(line.peer, "127.0.0.1");
        EXPECT_EQ(line.peer_port, peer_port);
        EXPECT_EQ(line.own, here.httpd().address());
        EXPECT_EQ(line.port, std::to_string(here.httpd().port()));
        EXPECT_EQ(line.vhost, i % 3 == 0 ? "other.test" : "main.test");
        EXPECT_EQ(line.requests, i);
    }
}

TEST_P(keep_alive, small_pages_downloads_and_ranges_take_turns) {
    site here({.how = GetParam(), .httpd = {.configuration = configuration}});
    here.add_document("file", size);
    here.add_document("small", 1000);
    auto client = here.client();
    long new_connections = 0;
    for (int i = 0; i < 200; ++i) {
        SCOPED_TRACE(i);
        http_response response;
        switch (i % 4) {
        case 0:
            response = client.get("/small");
            EXPECT_EQ(response.body, sequence_bytes(0, 1000));
            break;
        case 1:
            response = client.get("/file");
            EXPECT_EQ(response.body, sequence_bytes(0, size));
            break;
        case 2:
            response = client.get("/file", {"Range: bytes=100-99999"});
            EXPECT_EQ(response.body, sequence_bytes(100, 99'900));
            break;
        default:
            response = client.get("/file", {"Range: bytes=0-49999,100000-149999"});
            EXPECT_EQ(response.status, 206);
            EXPECT_NE(response.body.find(sequence_bytes(100'000, 50'000)), std::string::npos);
        }
        new_connections += response.new_connections;
        if (i % 4 != 0) {
            EXPECT_NE(response.field("Connection"), "close");
            EXPECT_EQ(here.httpd().note_of(response.probe), "claimed");
        }
    }
    EXPECT_EQ(new_connections, 1);
}

TEST_P(keep_alive, hosts_by_port_and_access_by_address_are_right_on_a_returned_connection) {
    site here({.how = GetParam(), .httpd = {.configuration = configuration}});
    here.add_document("file", size);
    here.add_document("for-us", 100);
    here.add_document("for-others", 100);
    raw_client raw(here.httpd().address(), 8081);
    const auto ask = [&](const std::string& path, const std::string& probe) {
        raw.send(here.get_request(path, probe));
        const std::string head = raw.read_head();
        (void)raw.read(std::stoul(field_of(head, "Content-Length")));
        return status_of(head);
    };
    EXPECT_EQ(ask("/file", "download"), 200);
    EXPECT_EQ(here.httpd().note_of("download"), "claimed");
    EXPECT_EQ(ask("/for-us", "ours"), 200);
    EXPECT_EQ(ask("/file", "again"), 200);
    EXPECT_EQ(here.httpd().note_of("again"), "claimed");
    EXPECT_EQ(ask("/for-others", "others"), 403);
    for (const char* probe : {"download", "ours", "again", "others"}) {
        const auto line = logged(here, probe);
        EXPECT_EQ(line.vhost, "by-port.test");
        EXPECT_EQ(line.port, "8081");
        EXPECT_EQ(line.peer_port, std::to_string(raw.local_port()));
    }
}

TEST_P(keep_alive, a_request_that_comes_while_the_manager_sends_is_answered_next) {
    site here({.how = GetParam()});
    constexpr std::uint64_t large = 16 << 20;
    here.add_document("large", large);
    here.add_document("small", 1000);
    auto raw = here.connect(small_receive_buffer);
    raw.send(here.get_request("/large", "first"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(1 << 20) == sequence_bytes(0, 1 << 20));
    // httpd has let go: the manager sends.
    EXPECT_EQ(here.httpd().note_of("first"), "claimed");
    raw.send(here.get_request("/small", "second") + here.get_request("/large", "third"));
    EXPECT_TRUE(raw.read(large - (1 << 20)) == sequence_bytes(1 << 20, large - (1 << 20)));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_EQ(raw.read(1000), sequence_bytes(0, 1000));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(large) == sequence_bytes(0, large));
    EXPECT_EQ(here.transfers().transfer("first")->at("outcome"), "complete");
}

TEST_P(keep_alive, an_idle_connection_ends_after_httpds_time) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 300ms\n"}});
    here.add_document("file", size);
    auto raw = here.connect();
    raw.send(here.get_request("/file", "only"));
    const std::string head = raw.read_head();
    EXPECT_NE(field_of(head, "Connection"), "close");
    EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
    EXPECT_TRUE(raw.ends(10s));
    EXPECT_FALSE(raw.was_reset());
    EXPECT_EQ(here.httpd().note_of("only"), "claimed");
}

TEST_P(keep_alive, max_keep_alive_requests_counts_them_all) {
    site here({.how = GetParam(), .httpd = {.configuration = "MaxKeepAliveRequests 5\n"}});
    here.add_document("file", size);
    auto client = here.client();
    // httpd means requests after the first one: a connection has one more (ap_set_keepalive).
    constexpr int each = 6;
    for (int i = 0; i < 4 * each; ++i) {
        SCOPED_TRACE(i);
        const auto response = client.get(i % 2 == 0 ? "/file" : "/ready");
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.new_connections, i % each == 0 ? 1 : 0);
        EXPECT_EQ(response.field("Connection"), i % each == each - 1 ? "close" : "");
    }
}

TEST_P(keep_alive, with_http_1_0_is_kept_too_if_asked_for) {
    site here({.how = GetParam()});
    here.add_document("file", size);
    auto client = here.client();
    for (int i = 0; i < 3; ++i) {
        const auto response = client.request(
            {.path = "/file", .fields = {"Connection: Keep-Alive"}, .version = CURL_HTTP_VERSION_1_0});
        here.expect_handed_off(response, "file");
        EXPECT_EQ(response.field("Connection"), "Keep-Alive");
        EXPECT_EQ(response.new_connections, i == 0 ? 1 : 0);
    }
    const auto closing = here.client().request({.path = "/file", .version = CURL_HTTP_VERSION_1_0});
    here.expect_handed_off(closing, "file");
    EXPECT_EQ(closing.field("Connection"), "close");
}

TEST_P(keep_alive, leaks_no_descriptor) {
    constexpr int threads = 2;
    site here({.how = GetParam(),
               .httpd = {.processes = 1, .threads = threads, .configuration = "KeepAliveTimeout 200ms\n"}});
    here.add_document("file", size);
    const auto go_round = [&] {
        for (int i = 0; i < 10; ++i) {
            auto client = here.client();
            for (int request = 0; request < 5; ++request)
                EXPECT_EQ(client.get(request % 2 == 0 ? "/file" : "/ready").status, 200);
        }
    };
    const auto count = [&] {
        std::size_t all =
            here.httpd().children().empty() ? 0 : open_descriptors(here.httpd().children().front());
        return all + (GetParam().service ? open_descriptors(here.manager().manager_pid()) : 0);
    };
    go_round();
    go_round();
    std::size_t before = 0;
    // All idle connections have ended when the count stays.
    EXPECT_TRUE(eventually([&] {
        const std::size_t now = count();
        std::this_thread::sleep_for(500ms);
        return std::exchange(before, now) == now && count() == now;
    }));
    go_round();
    go_round();
    // A thread that had met no other at the manager may have made a connection of its own to it meanwhile.
    const std::size_t most = before + 2 * threads;
    EXPECT_TRUE(eventually([&] { return count() <= most; })) << before << " before, now " << count();
}

TEST(keep_alive_limits, idle_connections_take_no_descriptors_that_others_need) {
    site here({.httpd = {.processes = 1, .configuration = "KeepAliveTimeout 20s\n", .descriptors = 256}});
    here.add_document("file", size);
    std::vector<raw_client> idle;
    for (int i = 0; i < 300; ++i) {
        SCOPED_TRACE(i);
        idle.push_back(here.connect());
        idle.back().send(here.get_request("/file", std::to_string(i)));
        ASSERT_EQ(status_of(idle.back().read_head()), 200);
        ASSERT_TRUE(idle.back().read(size) == sequence_bytes(0, size));
    }
    EXPECT_EQ(here.httpd().requests_with_note("claimed"), 300U);
    // The oldest had to go, and the others wait.
    EXPECT_TRUE(idle.front().ends(10s));
    EXPECT_FALSE(idle.front().was_reset());
    idle.back().send(here.get_request("/ready", "last"));
    EXPECT_EQ(status_of(idle.back().read_head()), 200);
}

TEST(keep_alive_directive, turns_it_off_for_a_server_or_a_virtual_host) {
    site here({.httpd = {.configuration = "DLHandoffKeepAlive Off\nListen ${ADDRESS}:8081\n<VirtualHost "
                                          "*:8081>\nDLHandoffKeepAlive On\n</VirtualHost>\n"}});
    here.add_document("file", size);
    auto client = here.client();
    for (int i = 0; i < 2; ++i) {
        const auto response = client.get("/file");
        here.expect_handed_off(response, "file");
        EXPECT_EQ(response.field("Connection"), "close");
        EXPECT_EQ(response.new_connections, 1);
    }
    raw_client raw(here.httpd().address(), 8081);
    for (int i = 0; i < 2; ++i) {
        raw.send(here.get_request("/file", new_probe()));
        EXPECT_EQ(field_of(raw.read_head(), "Connection"), "");
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
    }
}

struct listener_of_an_address_family {
    std::string name;
    std::string listen;  ///< with ${ADDRESS} and a port
    std::string connect; ///< "": httpd's own address
    std::string client;  ///< as %a has it
};

class keep_alive_over : public ::testing::TestWithParam<listener_of_an_address_family> {};
INSTANTIATE_TEST_SUITE_P(address, keep_alive_over,
                         ::testing::Values(listener_of_an_address_family{"ipv6", "[::1]", "::1", "::1"},
                                           // "Listen 80" makes such a socket: IPv4 clients in IPv6's clothes.
                                           listener_of_an_address_family{"ipv4_mapped", "[::ffff:${ADDRESS}]",
                                                                         "", "127.0.0.1"}),
                         [](const auto& one) { return one.param.name; });

TEST_P(keep_alive_over, addresses_are_right_on_a_returned_connection) {
    const auto& how = GetParam();
    const std::uint16_t port = free_port(how.connect.empty() ? "127.0.0.1" : how.connect);
    site here({.how = {"event", true},
               .httpd = {.configuration = std::string(configuration) + "Listen " + how.listen + ':' +
                                          std::to_string(port) + '\n'}});
    here.add_document("file", size);
    raw_client raw(how.connect.empty() ? here.httpd().address() : how.connect, port);
    for (int i = 0; i < 4; ++i) {
        const std::string probe = new_probe();
        raw.send(here.get_request("/file", probe));
        EXPECT_EQ(status_of(raw.read_head()), 200);
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        const auto line = logged(here, probe);
        EXPECT_EQ(line.client, how.client);
        EXPECT_EQ(line.peer, how.client);
        EXPECT_EQ(line.peer_port, std::to_string(raw.local_port()));
        EXPECT_EQ(line.own, how.connect.empty() ? here.httpd().address() : how.connect);
        EXPECT_EQ(line.port, std::to_string(port));
        EXPECT_EQ(line.requests, i);
        EXPECT_EQ(here.transfers().transfer(probe)->at("client"), how.client);
    }
}

TEST(keep_alive_behind_a_proxy, addresses_from_header_fields_are_right) {
    site here({.httpd = {.modules = {"remoteip"},
                         .configuration = std::string(configuration) +
                                          "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy "
                                          "127.0.0.0/8\n"}});
    here.add_document("file", size);
    auto client = here.client();
    for (int i = 0; i < 6; ++i) {
        const std::string from = "192.0.2." + std::to_string(i + 1);
        const auto response = client.get(i % 2 == 0 ? "/file" : "/ready", {"X-Forwarded-For: " + from});
        EXPECT_EQ(response.new_connections, i == 0 ? 1 : 0);
        const auto line = logged(here, response.probe);
        EXPECT_EQ(line.client, from);
        EXPECT_EQ(line.peer, "127.0.0.1");
        if (i % 2 == 0) {
            EXPECT_EQ(here.transfers().transfer(response.probe)->at("client"), from);
        }
    }
}

TEST(keep_alive_behind_a_proxy, connections_of_the_proxy_protocol_end) {
    site here({.httpd = {.modules = {"remoteip"}}});
    here.add_document("file", size);
    // Not at once: the harness asks without a PROXY header whether httpd is up.
    here.httpd().reconfigure("DLHandoff On\nDLHandoffMinSize 64K\nRemoteIPProxyProtocol On\n");
    here.httpd().graceful_restart_when_idle();
    for (const bool says_the_truth : {false, true}) {
        SCOPED_TRACE(says_the_truth);
        const std::string probe = new_probe();
        auto raw = here.connect();
        // A client's address that is the peer's own doesn't make the header dispensable.
        raw.send("PROXY TCP4 " +
                 (says_the_truth
                      ? "127.0.0.1 " + here.httpd().address() + ' ' + std::to_string(raw.local_port())
                      : "192.0.2.9 " + here.httpd().address() + " 4711") +
                 ' ' + std::to_string(here.httpd().port()) + "\r\n" + here.get_request("/file", probe));
        const std::string head = raw.read_head();
        EXPECT_EQ(status_of(head), 200);
        EXPECT_EQ(field_of(head, "Connection"), "close");
        EXPECT_TRUE(raw.read_to_end() == sequence_bytes(0, size));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
    }
}

} // namespace
} // namespace dlhandoff::test
