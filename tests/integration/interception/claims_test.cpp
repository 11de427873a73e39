// What this project claims, one by one. Each case can be read alone.
#include "tests/integration/limits/limited_site.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t large = 8 << 20;

/// The inode of the server's end of this client's connection, as /proc/net/tcp has it.
std::string server_end_of(const site& here, const raw_client& client) {
    std::istringstream lines(read_file("/proc/net/tcp"));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string number, local, remote, skipped, inode;
        words >> number >> local >> remote;
        for (int i = 0; i < 6; ++i)
            words >> skipped;
        words >> inode;
        const auto port_of = [](const std::string& address) {
            return std::stoul(address.substr(address.find(':') + 1), nullptr, 16);
        };
        if (port_of(local) == here.httpd().port() && port_of(remote) == client.local_port())
            return "socket:[" + inode + ']';
    }
    return "(no such connection)";
}

bool has_open(pid_t process, const std::string& what) {
    return std::ranges::count(descriptors_of(process), what) != 0;
}

bool any_has_open(const std::vector<pid_t>& processes, const std::string& what) {
    return std::ranges::any_of(processes, [&](pid_t process) { return has_open(process, what); });
}

/// The flags of that descriptor of the process (fdinfo, see proc(5)); -1 if it has none.
int flags_of(pid_t process, const std::string& what) {
    const std::string folder = "/proc/" + std::to_string(process);
    for (const auto& one : std::filesystem::directory_iterator(folder + "/fd")) {
        std::error_code closed;
        if (std::filesystem::read_symlink(one.path(), closed).string() != what)
            continue;
        std::istringstream words(read_file(folder + "/fdinfo/" + one.path().filename().string()));
        std::string word;
        while (words >> word)
            if (word == "flags:" && words >> word)
                return static_cast<int>(std::stol(word, nullptr, 8));
    }
    return -1;
}

class claims : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(claims, EVERY_SETUP);
class claims_of_the_service : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(claims_of_the_service, EVERY_SERVICE);

// Establish: it is httpd that accepts the client's connection.
TEST_P(claims, httpd_establishes_the_connection) {
    site here({.how = GetParam()});
    auto client = here.connect();
    client.send("GET /ready HTTP/1.1\r\n"); // and no more: no manager could know of it yet
    std::string connection;
    EXPECT_TRUE(eventually([&] {
        connection = server_end_of(here, client); // known once it is accepted
        return any_has_open(here.httpd().children(), connection);
    })) << connection;
    if (GetParam().service) {
        EXPECT_FALSE(has_open(here.manager().manager_pid(), connection));
    }
}

// Receive: it is httpd that reads the request, checks access, and composes the response.
TEST_P(claims, httpd_receives_the_request_and_composes_the_response) {
    site here({.how = GetParam(),
               .httpd = {.configuration = "Header set X-Composed-By httpd\nAlias /forbidden "
                                          "htdocs\n<Location /forbidden>\nRequire all "
                                          "denied\n</Location>\n"}});
    here.add_document("file", large);
    auto client = here.client();
    const auto response = client.get("/file");
    here.expect_handed_off(response, "file");
    EXPECT_EQ(response.field("X-Composed-By"), "httpd");
    EXPECT_EQ(client.get("/forbidden/file").status, 403);
}

// Transfer, and copy then close: the manager has the connection, and httpd's worker has let it go.
TEST_P(claims_of_the_service, the_connection_is_transferred_and_httpd_lets_go_of_it) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    auto client = ask(here, "/file", "moved");
    ASSERT_TRUE(client.has_input(10s));
    const std::string connection = server_end_of(here, client);
    EXPECT_TRUE(eventually([&] {
        return has_open(here.manager().manager_pid(), connection) &&
               !any_has_open(here.httpd().children(), connection);
    })) << connection;
    expect_document(client, large);
}

// Transmit: the manager sends, even while every process of httpd stands still.
TEST_P(claims_of_the_service, the_manager_transmits_while_httpd_stands_still) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    auto client = ask(here, "/file", "transmitted");
    EXPECT_EQ(here.httpd().note_of("transmitted"), "claimed");
    const auto children = here.httpd().children();
    for (const pid_t child : children)
        stop_process(child);
    expect_document(client, large);
    for (const pid_t child : children)
        ::kill(child, SIGCONT);
    EXPECT_EQ(here.transfers().transfer("transmitted")->at("outcome"), "complete");
}

// Non-blocking conversion: whatever the socket was in httpd, in the manager it is O_NONBLOCK.
TEST_P(claims_of_the_service, the_managers_socket_does_not_block) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    auto client = ask(here, "/file", "converted");
    EXPECT_EQ(here.httpd().note_of("converted"), "claimed");
    const int flags = flags_of(here.manager().manager_pid(), server_end_of(here, client));
    ASSERT_NE(flags, -1);
    EXPECT_NE(flags & O_NONBLOCK, 0);
    expect_document(client, large);
}

// Many clients at once: 50 downloads on an httpd of 5 workers, and it still answers.
TEST_P(claims, many_clients_download_at_once_and_httpd_still_answers) {
    constexpr std::size_t clients = 50;
    auto options = site_options{.how = GetParam()};
    options.httpd.processes = GetParam().mpm == "prefork" ? 5 : 1;
    options.httpd.threads = 5;
    site here(std::move(options));
    here.add_document("file", large);
    std::vector<raw_client> slow;
    for (std::size_t i = 0; i < clients; ++i)
        slow.push_back(ask(here, "/file", "slow-" + std::to_string(i)));
    for (const raw_client& one : slow)
        EXPECT_TRUE(one.has_input(10s));
    EXPECT_EQ(here.client().get("/ready").body, "ready\n");
    EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") == clients; }));
    EXPECT_TRUE(here.transfers().lines().empty()) << "all of them are under way still";
    for (raw_client& one : slow)
        expect_document(one, large);
}

// Enqueueing: what can't be sent yet waits in the manager, in order, and holds no worker.
TEST_P(claims, downloads_wait_in_a_queue_without_a_worker) {
    constexpr std::size_t clients = 10;
    auto options = limited(GetParam(), {.transfers = 1});
    options.httpd.processes = 1; // so one queue, and its order is that of the requests
    options.httpd.threads = 2;
    site here(std::move(options));
    here.add_document("file", large);
    std::vector<raw_client> queue;
    for (std::size_t i = 0; i < clients; ++i) {
        queue.push_back(ask(here, "/file", "queued-" + std::to_string(i)));
        EXPECT_EQ(here.httpd().note_of("queued-" + std::to_string(i)), "claimed");
    }
    EXPECT_EQ(here.client().get("/ready").body, "ready\n");
    for (std::size_t i = 0; i < clients; ++i) {
        ASSERT_TRUE(queue[i].has_input(10s)) << i;
        for (std::size_t later = i + 1; later < clients; ++later)
            EXPECT_FALSE(queue[later].has_input(0ms)) << later << " has overtaken " << i;
        expect_document(queue[i], large);
    }
}

// TCP: it is the same connection from its first byte to its last, and for the request after it.
TEST_P(claims, the_client_sees_one_tcp_connection) {
    site here({.how = GetParam()});
    here.add_document("file", large);
    auto client = here.connect();
    const auto port = client.local_port();
    for (const std::string probe : {"once", "again"}) {
        client.send(here.get_request("/file", probe));
        expect_document(client, large);
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
    }
    client.send(here.get_request("/ready", "page"));
    EXPECT_EQ(status_of(client.read_head()), 200);
    EXPECT_EQ(client.read(6), "ready\n");
    EXPECT_EQ(client.local_port(), port);
    EXPECT_FALSE(client.was_reset());
}

// Blocking sockets: a client that does not read blocks nobody, neither a worker nor the manager's thread.
TEST_P(claims, a_client_that_does_not_read_blocks_nobody) {
    auto options = site_options{.how = GetParam()};
    options.httpd.processes = 1;
    options.httpd.threads = 2;
    site here(std::move(options));
    here.add_document("file", large);
    auto stuck = ask(here, "/file", "stuck");
    EXPECT_EQ(here.httpd().note_of("stuck"), "claimed");
    auto client = here.client();
    for (int i = 0; i < 3; ++i)
        here.expect_handed_off(client.get("/file"), "file");
    expect_document(stuck, large);
}

// Threads: in event, server threads and the manager's one are in the same process; the sockets that it sends
// on are non-blocking, and it can send many downloads while all server threads are busy with something else.
TEST(claims_of_threads, one_manager_thread_beside_the_server_threads_sends_without_blocking) {
    constexpr std::size_t clients = 20;
    site here({.how = {"event"}, .httpd = {.processes = 1, .threads = 2}});
    here.add_document("file", large);
    const pid_t child = here.httpd().children().at(0);
    const auto threads = [child] {
        return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(child) + "/task"),
                             std::filesystem::directory_iterator());
    };
    auto first = ask(here, "/file", "first");
    ASSERT_TRUE(first.has_input(10s));
    // The manager's thread has come, with those that read cold files ahead for it.
    const auto before = threads();
    std::vector<raw_client> others;
    for (std::size_t i = 0; i < clients; ++i) {
        others.push_back(ask(here, "/file", "other-" + std::to_string(i)));
        EXPECT_EQ(here.httpd().note_of("other-" + std::to_string(i)), "claimed");
        const int flags = flags_of(child, server_end_of(here, others.back()));
        ASSERT_NE(flags, -1);
        EXPECT_NE(flags & O_NONBLOCK, 0);
    }
    EXPECT_LE(threads(), before) << "a download has a thread of its own";
    for (raw_client& one : others)
        expect_document(one, large);
    expect_document(first, large);
}

/// A service whose managers come to their descriptor limit after a few downloads.
class claims_of_duplicates : public ::testing::Test {
  protected:
    static site_options options() {
        return {.how = {"event", true},
                .httpd = {.processes = 1, .threads = 4},
                .manager = "[limits]\ndescriptors = 64\n",
                .managers = {.managers = 1, .max_managers = 2, .duplicate_idle = "300ms"}};
    }
    /// Downloads that are under way, until the second manager is there and has the last of them.
    static std::vector<raw_client> fill_the_first(const site& here, const private_manager& service) {
        constexpr std::size_t most = 64;
        std::vector<raw_client> slow;
        do {
            const std::string probe = "slow-" + std::to_string(slow.size());
            slow.push_back(ask(here, "/file", probe));
            EXPECT_EQ(here.httpd().note_of(probe), "claimed");
            // The duplicate comes when the first has little room left, and not only when it has none: give it
            // time.
            if (slow.size() > 8 && service.output().find("m2: takes downloads") == std::string::npos)
                (void)eventually(
                    [&] { return service.output().find("m2: takes downloads") != std::string::npos; }, 50ms);
        } while (slow.size() < most && !second_has(here, service, slow.back()));
        EXPECT_LT(slow.size(), most) << "no duplicate has one";
        return slow;
    }
    static bool second_has(const site& here, const private_manager& service, const raw_client& client) {
        const auto all = service.managers();
        return all.size() == 2 && has_open(all.back(), server_end_of(here, client));
    }
    static std::string manager_of(const site& here, const std::string& probe) {
        const auto line = here.transfers().transfer(probe);
        return line ? line->value("manager", "") : "(not in the transfer log)";
    }
};

// A duplicate at the descriptor limit: pending requests stay with the first manager, new ones go to the
// second; and when the first has room again, the other way round.
TEST_F(claims_of_duplicates, pending_requests_stay_with_one_manager_and_new_ones_go_to_the_other) {
    site here(options());
    here.add_document("file", large);
    std::vector<raw_client> pending = fill_the_first(here, here.manager());
    ASSERT_FALSE(HasFailure());
    raw_client at_second = std::move(pending.back());
    const std::string at_second_probe = "slow-" + std::to_string(pending.size() - 1);
    pending.pop_back();

    // New ones to the second, while all the first has is pending.
    const auto to_second = here.client().get("/file");
    here.expect_handed_off(to_second, "file");
    EXPECT_EQ(manager_of(here, to_second.probe), "m2");

    // The first sends what it has had before.
    for (std::size_t i = 0; i < pending.size(); ++i) {
        expect_document(pending[i], large);
        EXPECT_EQ(manager_of(here, "slow-" + std::to_string(i)), "m1") << i;
    }
    pending.clear();

    // The other way round: new ones to the first, while one is pending at the second.
    std::string to_first;
    EXPECT_TRUE(eventually([&] {
        const auto response = here.client().get("/file");
        here.expect_handed_off(response, "file");
        to_first = manager_of(here, response.probe);
        return to_first == "m1";
    })) << to_first;
    EXPECT_TRUE(second_has(here, here.manager(), at_second));
    expect_document(at_second, large);
    EXPECT_EQ(manager_of(here, at_second_probe), "m2");
    at_second.close();

    // And then there is one manager again.
    EXPECT_TRUE(eventually([&] { return here.manager().managers().size() == 1; }));
}

} // namespace
} // namespace dlhandoff::test
