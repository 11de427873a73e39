#include "engine/client/idle_connections.hpp"

#include "engine/engine_thread.hpp"
#include "shared/unix_address.hpp"
#include "tests/unit/engine/client/return_listener.hpp"
#include "tests/unit/engine/download.hpp"

#include <csignal>
#include <fcntl.h>
#include <future>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using namespace std::chrono_literals;
using engine::return_failure;
using nlohmann::json;

const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
const std::string request = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::uint32_t requests = 7;

/// One client whose download promises keep-alive.
struct idle_connections_test : testing::Test {
    engine::engine_options with_failures_noted() {
        engine::engine_options options;
        options.returns.on_failure = [this](const return_failure& failure) {
            failures.push_back(describe(failure));
        };
        return options;
    }

    void begin(const sample_file& what, std::chrono::milliseconds keep_alive = 10s) {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(what.open());
        const return_terms back{httpd.path(), static_cast<std::uint32_t>(keep_alive.count()), requests};
        runner.begin(make_offer(head, what, {}, back), std::move(descriptors));
    }
    /// Until the client has all and the connection waits.
    void finish_download(std::chrono::milliseconds keep_alive = 10s) {
        begin(file, keep_alive);
        ASSERT_TRUE(runner.run_until([&] {
            read_available(connection.client.get(), received);
            return runner.engine.idle() == 1;
        }));
        EXPECT_TRUE(received == head + file.content());
        EXPECT_EQ(runner.engine.active(), 0U);
    }
    void ask() const {
        ASSERT_EQ(::send(connection.client.get(), request.data(), request.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(request.size()));
    }
    return_listener::returned take_back() {
        std::optional<return_listener::returned> back;
        EXPECT_TRUE(runner.run_until([&] {
            read_available(connection.client.get(), received, 100'000);
            back = httpd.accept();
            return back.has_value();
        }));
        return back ? std::move(*back) : return_listener::returned{};
    }
    /// The client sees the end of the connection, not a reset.
    void expect_clean_end() {
        errno = 0;
        EXPECT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
        EXPECT_NE(errno, ECONNRESET);
        connection.client.reset();
        EXPECT_TRUE(runner.run_until([&] { return runner.engine.idle() == 0; }));
    }

    const sample_file file{1000};
    return_listener httpd;
    std::vector<std::string> failures;
    running_engine runner{with_failures_noted()};
    tcp_pair connection;
    std::string received;
};

std::string read_all(int socket) {
    std::string got;
    read_available(socket, got);
    return got;
}

TEST_F(idle_connections_test, go_back_with_the_next_request_unread) {
    finish_download();
    EXPECT_FALSE(httpd.accept());
    ask();
    const auto back = take_back();
    EXPECT_EQ(back.said.requests, requests);
    EXPECT_EQ(read_all(back.client.get()), request);
    EXPECT_EQ(runner.engine.idle(), 0U);
    // The manager has let go: what httpd answers goes to the client, and its close ends the connection.
    const std::string answer = "HTTP/1.1 204 No Content\r\n\r\n";
    EXPECT_EQ(::send(back.client.get(), answer.data(), answer.size(), 0),
              static_cast<ssize_t>(answer.size()));
    received.clear();
    EXPECT_TRUE(runner.run_until(
        [&] { return !(read_available(connection.client.get(), received), received.empty()); }));
    EXPECT_EQ(received, answer);
    const json line = json::parse(runner.log_lines().at(0));
    EXPECT_EQ(line["outcome"], "complete");
    EXPECT_EQ(line["delivered"], line["expected"]);
}

TEST_F(idle_connections_test, go_back_as_they_came) {
    finish_download();
    ask();
    const auto back = take_back();
    int low_water = -1;
    socklen_t size = sizeof low_water;
    ASSERT_EQ(::getsockopt(back.client.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, &size), 0);
    EXPECT_EQ(low_water, 0); // the system's own
}

TEST_F(idle_connections_test, a_request_that_came_while_the_response_was_sent_goes_back_after_its_last_byte) {
    const sample_file large{5'000'000};
    begin(large);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 10'000);
        return received.size() > 100'000;
    }));
    ask();
    const auto back = take_back();
    EXPECT_EQ(read_all(back.client.get()), request);
    EXPECT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received);
        return received.size() == head.size() + large.content().size();
    }));
    EXPECT_TRUE(received == head + large.content());
    const json line = json::parse(runner.log_lines().at(0));
    EXPECT_EQ(line["outcome"], "complete");
    EXPECT_EQ(line["sent"], line["expected"]);
}

TEST_F(idle_connections_test, empty_lines_are_no_request) {
    const file_descriptor server(::dup(connection.server.get()));
    const auto send = [&](std::string_view bytes) {
        ASSERT_EQ(::send(connection.client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    };
    const auto unread = [&] {
        int bytes = -1;
        EXPECT_EQ(::ioctl(server.get(), FIONREAD, &bytes), 0);
        return bytes;
    };
    // While the response is sent, and behind it.
    send("\r\n");
    finish_download();
    EXPECT_TRUE(runner.run_until([&] { return unread() == 0; }));
    send("\n\r\n\r");
    // Half a line is left: it may be the beginning of something else.
    EXPECT_TRUE(runner.run_until([&] { return unread() == 1; }));
    EXPECT_EQ(runner.engine.idle(), 1U);
    EXPECT_FALSE(httpd.accept());
    send("\n" + request);
    const auto back = take_back();
    EXPECT_EQ(read_all(back.client.get()), request);
}

TEST_F(idle_connections_test, one_that_sends_nothing_but_empty_lines_ends) {
    finish_download();
    const std::string lines = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    ASSERT_EQ(::send(connection.client.get(), lines.data(), lines.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(lines.size()));
    expect_clean_end();
    EXPECT_FALSE(httpd.accept());
}

TEST_F(idle_connections_test, one_that_the_client_closes_is_gone) {
    finish_download();
    connection.client.reset();
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.idle() == 0; }));
    EXPECT_FALSE(httpd.accept());
}

TEST_F(idle_connections_test, one_that_the_client_resets_is_gone) {
    finish_download();
    const linger at_once{1, 0};
    ASSERT_EQ(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    connection.client.reset();
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.idle() == 0; }));
}

TEST_F(idle_connections_test, one_whose_client_had_closed_its_half_is_not_kept) {
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    begin(file);
    EXPECT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
    EXPECT_TRUE(received == head + file.content());
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(runner.engine.idle(), 0U);
    EXPECT_EQ(json::parse(runner.log_lines().at(0))["outcome"], "complete");
}

TEST_F(idle_connections_test, end_when_their_time_is_up) {
    finish_download(50ms);
    expect_clean_end();
    EXPECT_FALSE(httpd.accept());
}

TEST_F(idle_connections_test, a_client_that_does_not_close_is_closed_after_lingering) {
    finish_download(50ms);
    const auto began = engine::clock::now();
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.idle() == 0; }));
    EXPECT_GE(engine::clock::now() - began, engine::idle_connections::linger);
}

TEST_F(idle_connections_test, end_without_a_reset_when_httpd_has_stopped) {
    finish_download();
    httpd.close();
    ask();
    expect_clean_end();
    ASSERT_EQ(failures.size(), 1U);
    EXPECT_NE(failures.front().find(httpd.path()), std::string::npos);
    EXPECT_NE(failures.front().find("httpd has stopped"), std::string::npos);
}

TEST_F(idle_connections_test, end_without_a_reset_when_the_socket_is_not_ours_to_use) {
    finish_download();
    // A path whose last directory is a file: what a misplaced path gives, and root is no exception.
    const std::string path = httpd.path();
    httpd.close();
    ASSERT_EQ(::symlink((file.path() + "/return.sock").c_str(), path.c_str()), 0);
    ask();
    expect_clean_end();
    ::unlink(path.c_str());
    ASSERT_EQ(failures.size(), 1U);
    EXPECT_NE(failures.front().find("Not a directory"), std::string::npos) << failures.front();
}

TEST_F(idle_connections_test, wait_while_httpd_is_too_busy_to_accept) {
    const return_listener busy(0);
    // One may wait there (listen(2)); it is somebody else's.
    const auto connect_to_busy = [&] {
        const file_descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return engine::return_connection(client.get(), 1, busy.path(), {});
    };
    ASSERT_EQ(connect_to_busy(), engine::return_result::returned);
    ASSERT_EQ(connect_to_busy(), engine::return_result::busy);
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    descriptors.push_back(file.open());
    runner.begin(make_offer(head, file, {}, {busy.path(), 10'000, requests}), std::move(descriptors));
    ask();
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.idle() == 1; }));
    EXPECT_TRUE(busy.accept());
    std::optional<return_listener::returned> back;
    EXPECT_TRUE(runner.run_until([&] { return (back = busy.accept()).has_value(); }));
    EXPECT_EQ(back->said.requests, requests);
    EXPECT_EQ(runner.engine.idle(), 0U);
}

TEST_F(idle_connections_test, that_return_are_not_closed_for_want_of_descriptors) {
    const return_listener busy(0);
    const file_descriptor other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(engine::return_connection(other.get(), 1, busy.path(), {}), engine::return_result::returned);
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    descriptors.push_back(file.open());
    runner.begin(make_offer(head, file, {}, {busy.path(), 10'000, requests}), std::move(descriptors));
    ask();
    EXPECT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received);
        return runner.engine.idle() == 1;
    }));
    runner.engine.close_idle(5);
    EXPECT_EQ(runner.engine.idle(), 1U);
    EXPECT_TRUE(busy.accept());
    EXPECT_TRUE(runner.run_until([&] { return busy.accept().has_value(); }));
}

TEST_F(idle_connections_test, more_than_may_wait_are_ended_oldest_first) {
    engine::engine_options options;
    options.max_idle = 2;
    running_engine few(options);
    std::vector<tcp_pair> clients(3);
    for (std::size_t i = 0; i < clients.size(); ++i) {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(clients[i].server));
        descriptors.push_back(file.open());
        const auto keep_alive = static_cast<std::uint32_t>(10'000 + i);
        few.begin(make_offer(head, file, {}, {httpd.path(), keep_alive, requests}), std::move(descriptors));
        std::string got;
        EXPECT_TRUE(few.run_until([&] {
            read_available(clients[i].client.get(), got);
            return got.size() == head.size() + file.content().size() && few.engine.active() == 0;
        }));
    }
    std::string more;
    EXPECT_TRUE(few.run_until([&] { return !read_available(clients[0].client.get(), more); }));
    EXPECT_TRUE(read_available(clients[1].client.get(), more));
    EXPECT_TRUE(read_available(clients[2].client.get(), more));
    EXPECT_EQ(more, "");
}

TEST_F(idle_connections_test, a_stranger_gets_none) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "takes root, to listen as another user";
    finish_download();
    const std::string path = httpd.path();
    httpd.close();
    ASSERT_EQ(::chmod(path.substr(0, path.rfind('/')).c_str(), 0777), 0);
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const file_descriptor listens(ready[0]);
    file_descriptor says_so(ready[1]);
    const pid_t stranger = ::fork();
    if (stranger == 0) {
        const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
        if (::setuid(65534) != 0 || !unix_address::of(path).value().bind(socket) ||
            ::listen(socket, 8) != 0 || ::write(says_so.get(), "l", 1) != 1)
            ::_exit(1);
        ::pause();
        ::_exit(0);
    }
    says_so.reset();
    char said = 0;
    EXPECT_EQ(::read(listens.get(), &said, 1), 1);
    ask();
    expect_clean_end();
    ::kill(stranger, SIGKILL);
    ::waitpid(stranger, nullptr, 0);
    ::unlink(path.c_str());
    ASSERT_EQ(failures.size(), 1U);
    EXPECT_NE(failures.front().find("user id 65534"), std::string::npos) << failures.front();
}

TEST_F(idle_connections_test, wait_for_their_next_requests_when_the_manager_stops_accepting) {
    finish_download();
    runner.engine.stop_accepting();
    EXPECT_EQ(runner.engine.idle(), 1U);
    ask();
    EXPECT_EQ(read_all(take_back().client.get()), request);
    EXPECT_EQ(runner.engine.idle(), 0U);
}

TEST_F(idle_connections_test, end_when_their_time_is_up_after_the_manager_stopped_accepting) {
    finish_download(50ms);
    runner.engine.stop_accepting();
    expect_clean_end();
    EXPECT_FALSE(httpd.accept());
}

TEST_F(idle_connections_test, a_response_that_ends_after_the_manager_stopped_accepting_keeps_its_connection) {
    const sample_file large{5'000'000};
    begin(large);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 10'000);
        return received.size() > 100'000;
    }));
    runner.engine.stop_accepting();
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received);
        return runner.engine.idle() == 1;
    }));
    EXPECT_TRUE(received == head + large.content());
    ask();
    EXPECT_EQ(read_all(take_back().client.get()), request);
}

TEST_F(idle_connections_test, make_room_when_descriptors_run_out) {
    finish_download();
    runner.engine.close_idle(0);
    EXPECT_EQ(runner.engine.idle(), 1U);
    runner.engine.close_idle(5);
    EXPECT_EQ(runner.engine.idle(), 0U);
    expect_clean_end();
}

TEST_F(idle_connections_test, an_offer_whose_return_socket_is_out_of_reach_is_refused) {
    httpd.close();
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    descriptors.push_back(file.open());
    const auto result =
        runner.engine.prepare(make_offer(head, file, {}, {httpd.path(), 1000, 1}), std::move(descriptors));
    ASSERT_TRUE(std::holds_alternative<refusal>(result));
    EXPECT_EQ(std::get<refusal>(result), refusal::return_socket);
}

TEST_F(idle_connections_test, a_thread_that_drains_waits_for_their_next_requests) {
    engine::engine_thread sender({}, {});
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(connection.server));
    descriptors.push_back(file.open());
    ASSERT_EQ(
        sender.take(make_offer(head, file, {}, {httpd.path(), 60'000, requests}), std::move(descriptors)),
        std::nullopt);
    std::string got(head.size() + file.content().size(), '\0');
    ASSERT_EQ(::recv(connection.client.get(), got.data(), got.size(), MSG_WAITALL),
              static_cast<ssize_t>(got.size()));
    EXPECT_TRUE(got == head + file.content());
    auto drained = std::async(std::launch::async, [&] { sender.drain(); });
    // With nobody asking it waits on: a client's end of file, or the drain's, would be here soon.
    pollfd input{connection.client.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&input, 1, 200), 0);
    ask();
    std::optional<return_listener::returned> back;
    const auto deadline = engine::clock::now() + 10s;
    while (!(back = httpd.accept()) && engine::clock::now() < deadline)
        std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(back.has_value());
    if (back) {
        EXPECT_EQ(read_all(back->client.get()), request);
    } else {
        sender.cut();
    }
    drained.wait();
}

} // namespace
} // namespace dlhandoff::test
