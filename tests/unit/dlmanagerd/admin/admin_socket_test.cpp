#include "dlmanagerd/admin/admin_socket.hpp"

#include "shared/release.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string status_request = "{\"command\":\"status\"}\n";
const std::string list_request = "{\"command\":\"list\"}\n";

/// Three places for managers that answer at once with what a test has for them; without, they are silent.
class admin_socket_test : public ::testing::Test {
  public:
    admin_socket_test() {
        std::string pattern = "/tmp/dlhandoff-admin-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr)
            throw_errno("mkdtemp");
        directory = pattern;
    }
    ~admin_socket_test() override {
        server.reset();
        std::filesystem::remove_all(directory);
    }

    void start(admin_socket::patience limits = {.managers = 20ms, .client = 10s}) {
        admin_socket::service actions{
            .ask_managers =
                [this](const std::function<int(std::uint32_t)>& open) {
                    ++asked;
                    for (std::uint32_t index = 0; index < the_board.managers(); ++index)
                        if (the_board.manager(index).state.load() == manager_state::live)
                            report(open(index), index);
                },
            .drain =
                [this](uid_t by) {
                    drained_by = by;
                    return std::uint32_t{2};
                }};
        server.emplace(loop, the_board, directory / "admin.sock", std::vector<uid_t>{}, std::move(actions),
                       limits);
    }
    void report(int memory, std::uint32_t index) const {
        const auto said = parts.find(index);
        if (said == parts.end())
            return;
        ASSERT_EQ(::ftruncate(memory, 0), 0);
        ASSERT_EQ(::pwrite(memory, said->second.data(), said->second.size(), 0),
                  static_cast<ssize_t>(said->second.size()));
        ASSERT_EQ(::fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
    }

    /// A round of the loop, 2 ms at most.
    void round() {
        loop.run_once(std::min(server->next_deadline(), loop.now() + 2ms));
        server->run_due();
    }
    [[nodiscard]] file_descriptor connect() {
        file_descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!unix_address::of((directory / "admin.sock").native()).value().connect(socket.get()))
            throw_errno("connect");
        round();
        return socket;
    }
    static void send(const file_descriptor& socket, std::string_view text) {
        ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    /// What comes up to the end of the connection; "(open) " before it if there is none within 10 s.
    [[nodiscard]] std::string read_to_end(const file_descriptor& socket) {
        const auto limit = engine::clock::now() + 10s;
        std::string text;
        while (engine::clock::now() < limit) {
            round();
            std::array<char, 65'536> bytes;
            const ssize_t got = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
            if (got == 0 || (got < 0 && errno != EAGAIN))
                return text;
            if (got > 0)
                text.append(bytes.data(), static_cast<std::size_t>(got));
        }
        return "(open) " + text;
    }
    [[nodiscard]] std::string ask(std::string_view request) {
        const auto socket = connect();
        send(socket, request);
        return read_to_end(socket);
    }
    void live(std::uint32_t index) const { the_board.manager(index).state.store(manager_state::live); }

    std::filesystem::path directory;
    engine::event_loop loop;
    board the_board = board::create(1, 3);
    std::map<std::uint32_t, std::string> parts;
    int asked = 0;
    std::optional<uid_t> drained_by;
    std::optional<admin_socket> server;
};

TEST_F(admin_socket_test, status_has_each_manager_in_order_and_their_sums) {
    start();
    for (std::uint32_t index : {0U, 1U})
        live(index);
    the_board.manager(2).state.store(manager_state::starting);
    the_board.manager(0).counters.active.store(7);
    the_board.manager(0).pid.store(70);
    the_board.manager(0).counters.refusals[static_cast<std::size_t>(refusal::full)].store(3);
    admin::manager_report second{.name = "m2", .pid = 80, .state = "live", .counts = {}};
    second.counts.active = 5;
    second.counts.bytes_per_second = 900;
    parts[1] = encode(second);
    const std::string said = ask(status_request);
    std::vector<admin::answer_line> lines;
    for (std::size_t at = 0; at < said.size(); at = said.find('\n', at) + 1) {
        auto line = admin::decode_answer_line(said.substr(at, said.find('\n', at) - at));
        ASSERT_TRUE(line.has_value()) << said;
        lines.push_back(std::move(*line));
    }
    ASSERT_EQ(lines.size(), 5U) << said;
    const auto& silent = std::get<admin::manager_report>(lines[0]);
    EXPECT_EQ(silent.name, "m1");
    EXPECT_EQ(silent.state, "silent");
    EXPECT_EQ(silent.pid, 70U);
    EXPECT_EQ(silent.counts.active, 7U);
    EXPECT_EQ(std::get<admin::manager_report>(lines[1]), second);
    EXPECT_EQ(std::get<admin::manager_report>(lines[2]).state, "starting");
    const auto& all = std::get<admin::totals>(lines[3]);
    EXPECT_EQ(all.managers, 3U);
    EXPECT_EQ(all.version, release());
    EXPECT_EQ(all.wire, wire_version);
    EXPECT_EQ(all.counts.active, 12U);
    EXPECT_EQ(all.counts.bytes_per_second, 900U);
    EXPECT_THAT(all.counts.refusals,
                ::testing::ElementsAre(std::pair<std::string, std::uint64_t>("full", 3)));
    EXPECT_TRUE(std::holds_alternative<admin::end>(lines[4]));
}

TEST_F(admin_socket_test, a_report_that_comes_later_is_the_answer_when_it_comes) {
    start({.managers = 1h, .client = 10s});
    live(0);
    int memory = -1;
    server.reset();
    server.emplace(loop, the_board, directory / "admin.sock", std::vector<uid_t>{},
                   admin_socket::service{.ask_managers = [&](const auto& open) { memory = open(0); },
                                         .drain = [](uid_t) { return std::uint32_t{0}; }},
                   admin_socket::patience{.managers = 1h, .client = 10s});
    const auto socket = connect();
    send(socket, list_request);
    while (memory < 0)
        round();
    parts[0] = "late\n";
    report(memory, 0);
    server->look_at_reports();
    EXPECT_EQ(read_to_end(socket), "late\n{\"end\":true}\n");
}

TEST_F(admin_socket_test, who_ends_without_a_report_is_not_waited_for) {
    start({.managers = 1h, .client = 10s});
    live(0);
    const auto socket = connect();
    send(socket, status_request);
    while (asked == 0)
        round();
    the_board.manager(0).state.store(manager_state::vacant);
    server->look_at_reports();
    EXPECT_THAT(read_to_end(socket), StartsWith("{\"managers\":0,"));
}

TEST_F(admin_socket_test, a_long_answer_waits_for_who_reads_it_and_holds_nobody_up) {
    start();
    live(0);
    live(1);
    parts[0] = std::string(3'000'000, 'a') + '\n';
    parts[1] = std::string(1'000'001, 'b') + '\n';
    const auto slow = connect();
    send(slow, list_request);
    while (asked == 0)
        round();
    const std::string whole = parts[0] + parts[1] + "{\"end\":true}\n";
    EXPECT_TRUE(ask(list_request) == whole);
    EXPECT_TRUE(read_to_end(slow) == whole);
}

TEST_F(admin_socket_test, drops_who_does_not_read) {
    start({.managers = 20ms, .client = 50ms});
    live(0);
    parts[0] = std::string(3'000'000, 'a') + '\n';
    const auto socket = connect();
    send(socket, list_request);
    const auto until = engine::clock::now() + 10s;
    int error = 0;
    while (error == 0 && engine::clock::now() < until) {
        round();
        error = ::send(socket.get(), "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN ? errno : 0;
    }
    EXPECT_EQ(error, EPIPE);
    const std::string some = read_to_end(socket);
    EXPECT_THAT(some, StartsWith("aaa"));
    EXPECT_LT(some.size(), parts[0].size());
}

TEST_F(admin_socket_test, drops_who_does_not_ask) {
    start({.managers = 20ms, .client = 50ms});
    const auto socket = connect();
    send(socket, "{\"command\":");
    EXPECT_EQ(read_to_end(socket), "");
}

TEST_F(admin_socket_test, takes_a_request_in_pieces) {
    start();
    const auto socket = connect();
    for (const char one : status_request) {
        send(socket, {&one, 1});
        round();
    }
    EXPECT_THAT(read_to_end(socket), StartsWith("{\"managers\":0,"));
}

TEST_F(admin_socket_test, says_what_is_wrong_with_a_request) {
    start();
    EXPECT_THAT(ask("hello\n"), HasSubstr("{\"error\":\"a request is one JSON object, on one line\"}"));
    EXPECT_THAT(ask("{\"command\":\"stop\"}\n"), HasSubstr("unknown command \\\"stop\\\"; there are status"));
    EXPECT_THAT(ask("{\"command\":\"cancel\"}\n"), HasSubstr("cancel needs an \\\"id\\\""));
    EXPECT_EQ(asked, 0);
    const auto socket = connect();
    const std::string endless(1'000'000, ' ');
    (void)::send(socket.get(), endless.data(), endless.size(), MSG_NOSIGNAL);
    EXPECT_EQ(read_to_end(socket), "{\"error\":\"a request has 65536 bytes at most\"}\n");
}

TEST_F(admin_socket_test, cancel_says_whether_it_was_there) {
    start();
    live(0);
    live(1);
    const std::string request = "{\"command\":\"cancel\",\"id\":\"t-1\"}\n";
    parts[0] = parts[1] = "";
    EXPECT_THAT(ask(request), HasSubstr("no transfer with this id is under way: t-1"));
    parts[1] = "{\"cancelled\":\"t-1\"}\n";
    EXPECT_EQ(ask(request), "{\"cancelled\":\"t-1\"}\n{\"end\":true}\n");
    parts = {{1, ""}};
    EXPECT_THAT(ask(request), HasSubstr("{\"error\":\"m1 did not answer, and may still cancel t-1"));
}

TEST_F(admin_socket_test, drain_is_the_supervisors) {
    start();
    live(0);
    EXPECT_EQ(ask("{\"command\":\"drain\"}\n"), "{\"draining\":2}\n{\"end\":true}\n");
    EXPECT_EQ(drained_by, ::geteuid());
    EXPECT_EQ(asked, 0);
}

TEST_F(admin_socket_test, managers_have_one_request_at_a_time) {
    start({.managers = 30ms, .client = 10s});
    live(0); // silent
    std::vector<file_descriptor> sockets;
    for (int i = 0; i < 3; ++i) {
        sockets.push_back(connect());
        send(sockets.back(), status_request);
        round();
    }
    EXPECT_EQ(asked, 1);
    sockets[1].reset(); // before its turn: it takes nobody's time
    EXPECT_THAT(read_to_end(sockets[2]), HasSubstr("silent"));
    EXPECT_THAT(read_to_end(sockets[0]), HasSubstr("silent"));
    EXPECT_EQ(asked, 2);
}

TEST_F(admin_socket_test, the_oldest_that_has_not_asked_makes_place) {
    start({.managers = 1h, .client = 1h});
    live(0);
    std::vector<file_descriptor> sockets;
    for (std::size_t i = 0; i < admin_socket::most_connections; ++i)
        sockets.push_back(connect());
    send(sockets[0], status_request);
    while (asked == 0)
        round();
    const auto one_more = connect();
    EXPECT_EQ(read_to_end(sockets[1]), "");
    char byte;
    EXPECT_EQ(::recv(sockets[0].get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    for (std::size_t i = 2; i < sockets.size(); ++i)
        send(sockets[i], status_request);
    send(one_more, status_request);
    for (int i = 0; i < 50; ++i)
        round();
    // All have asked: the oldest whose turn has not come goes.
    const auto last = connect();
    EXPECT_EQ(read_to_end(sockets[2]), "");
    EXPECT_EQ(::recv(sockets[0].get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
}

} // namespace
} // namespace dlhandoff::service
