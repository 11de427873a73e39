// The socket in httpd's runtime directory over which connections come back: its life, and who may use it.
#include "shared/descriptor_passing.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"
#include "tests/integration/harness/canned_server.hpp"
#include "tests/integration/harness/site.hpp"

#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

std::vector<std::filesystem::path> return_sockets(const site& here) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(here.directory() / "run"))
        if (entry.path().filename().string().starts_with("dlhandoff.return"))
            found.push_back(entry.path());
    return found;
}

class return_socket : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(return_socket, EVERY_SETUP);

class return_socket_restarts : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(return_socket_restarts, EVERY_SERVICE);

TEST_P(return_socket_restarts, an_idle_connection_outlives_them) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 20s\n"}});
    here.add_document("file", size);
    const auto sockets = return_sockets(here);
    ASSERT_EQ(sockets.size(), 1U);
    auto raw = here.connect();
    for (int i = 0; i < 4; ++i) {
        SCOPED_TRACE(i);
        const std::string probe = "download" + std::to_string(i);
        raw.send(here.get_request("/file", probe));
        EXPECT_EQ(status_of(raw.read_head()), 200);
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        ASSERT_TRUE(here.transfers().transfer(probe));
        i % 2 == 0 ? here.httpd().graceful_restart() : here.httpd().restart();
        EXPECT_EQ(return_sockets(here), sockets);
    }
}

TEST_P(return_socket_restarts, a_manager_that_is_about_to_end_gives_connections_back) {
    site here({.how = GetParam()});
    constexpr std::uint64_t large = 16 << 20;
    here.add_document("large", large);
    auto raw = here.connect(small_receive_buffer);
    raw.send(here.get_request("/large", "first"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_EQ(here.httpd().note_of("first"), "claimed");
    raw.send(here.get_request("/ready", "second"));
    here.manager().signal(SIGTERM);
    EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(here.manager().socket()); }));
    EXPECT_TRUE(raw.read(large) == sequence_bytes(0, large));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_EQ(raw.read(6), "ready\n");
    EXPECT_EQ(here.transfers().transfer("first")->at("outcome"), "complete");
    EXPECT_TRUE(here.manager().ended(20s));
}

TEST_P(return_socket, is_gone_when_httpd_has_stopped) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 20s\n"}});
    here.add_document("file", size);
    EXPECT_EQ(return_sockets(here).size(), 1U);
    auto raw = here.connect();
    raw.send(here.get_request("/file", "last"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
    ASSERT_TRUE(here.transfers().transfer("last"));
    here.httpd().stop();
    EXPECT_TRUE(here.httpd().ended(20s));
    EXPECT_TRUE(return_sockets(here).empty());
    try {
        raw.send(here.get_request("/file", "too-late"));
    } catch (const std::exception&) { // the connection may have ended already
    }
    EXPECT_TRUE(raw.ends(10s));
}

TEST(return_socket_directive, off_everywhere_there_is_none) {
    site here({.httpd = {.configuration = "DLHandoffKeepAlive Off\n"}});
    here.add_document("file", size);
    EXPECT_TRUE(return_sockets(here).empty());
    // And a restart with another configuration makes and removes it.
    here.httpd().reconfigure("DLHandoff On\n");
    here.httpd().graceful_restart();
    EXPECT_EQ(return_sockets(here).size(), 1U);
    EXPECT_EQ(here.client().get("/ready").status, 200);
    here.httpd().reconfigure("DLHandoff On\nDLHandoffKeepAlive Off\n");
    here.httpd().graceful_restart();
    EXPECT_TRUE(return_sockets(here).empty());
    EXPECT_EQ(here.client().get("/ready").status, 200);
}

TEST_P(return_socket, is_made_anew_when_it_was_removed) {
    site here({.how = GetParam()});
    here.add_document("file", size);
    ASSERT_EQ(return_sockets(here).size(), 1U);
    ASSERT_TRUE(std::filesystem::remove(return_sockets(here).front()));
    const auto meanwhile = here.client().get("/file");
    here.expect_served(meanwhile, "file", "return-socket");
    here.httpd().graceful_restart_when_idle();
    EXPECT_EQ(return_sockets(here).size(), 1U);
    auto client = here.client();
    for (int i = 0; i < 3; ++i) {
        const auto response = client.get("/file");
        here.expect_handed_off(response, "file");
        EXPECT_EQ(response.new_connections, i == 0 ? 1 : 0);
    }
}

TEST(return_socket_beside_a_proxy, backends_at_unix_sockets_are_left_alone) {
    for (const char* handoff : {"DLHandoff On\n", "DLHandoff Off\nDLHandoffKeepAlive Off\n"}) {
        SCOPED_TRACE(handoff);
        site here(
            {.httpd = {.modules = {"proxy", "proxy_http"},
                       .configuration = "ProxyPass /backend unix:${ROOT}/backend.sock|http://backend/\n"},
             .handoff = handoff});
        const canned_server backend(
            here.directory() / "backend.sock",
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nbackend");
        const auto response = here.client().get("/backend");
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body, "backend");
        EXPECT_EQ(here.httpd().error_log().find("return socket"), std::string::npos);
    }
}

TEST_P(return_socket, works_with_a_bucket_of_listeners_for_each_core) {
    site here({.how = GetParam(), .httpd = {.configuration = "ListenCoresBucketsRatio 1\n"}});
    here.add_document("file", size);
    for (int i = 0; i < 10; ++i) {
        auto client = here.client();
        for (int request = 0; request < 5; ++request) {
            const auto response = client.get("/file");
            here.expect_handed_off(response, "file");
            EXPECT_EQ(response.new_connections, request == 0 ? 1 : 0);
        }
    }
    // What httpd makes for the other buckets from the placeholder's address (127.68.76.72) is gone.
    EXPECT_TRUE(
        eventually([] { return read_file("/proc/net/tcp").find(": 484C447F:") == std::string::npos; }));
    // When an old child goes, so does its socket, and whatever the kernel has put into that one's queue.
    here.httpd().graceful_restart_when_idle();
    EXPECT_EQ(here.client().get("/file").status, 200);
}

/// Somebody at the return socket who is no manager.
class stranger {
  public:
    explicit stranger(const std::filesystem::path& path)
        : socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
        if (!unix_address::of(path.native()).value().connect(socket_.get()))
            throw_errno("connect(return socket)");
    }
    void send(std::span<const std::byte> message, std::span<const int> descriptors = {}) const {
        EXPECT_EQ(send_message(socket_.get(), message, descriptors), send_result::sent);
    }
    /// Whether httpd ends the connection, having said nothing.
    [[nodiscard]] bool is_refused() const {
        received_message message;
        return eventually([&] {
            const auto result = receive_message(socket_.get(), 4096, message);
            EXPECT_NE(result, receive_result::message);
            return result == receive_result::peer_gone;
        });
    }

  private:
    file_descriptor socket_;
};

TEST_P(return_socket, refuses_strangers) {
    site here({.how = GetParam(), .httpd = {.processes = 1}});
    here.add_document("file", size);
    ASSERT_EQ(return_sockets(here).size(), 1U);
    const auto path = return_sockets(here).front();
    namespace fs = std::filesystem;
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write |
                                                  fs::perms::group_read | fs::perms::group_write);
    const auto text = [](std::string_view bytes) { return std::as_bytes(std::span(bytes)); };
    int pipe_ends[2];
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const file_descriptor pipe_read(pipe_ends[0]);
    const file_descriptor pipe_write(pipe_ends[1]);
    const auto right = encode(return_message{1});
    struct attempt {
        std::string what;
        std::span<const std::byte> message;
        std::vector<int> descriptors;
    };
    const std::vector<attempt> attempts{{"a request", text("GET /ready HTTP/1.0\r\n\r\n"), {}},
                                        {"too short", std::span(right).first(10), {}},
                                        {"no descriptor", right, {}},
                                        {"no socket", right, {pipe_read.get()}},
                                        {"two descriptors", right, {pipe_read.get(), pipe_write.get()}}};
    for (const attempt& one : attempts) {
        SCOPED_TRACE(one.what);
        const stranger somebody(path);
        somebody.send(one.message, one.descriptors);
        EXPECT_TRUE(somebody.is_refused());
    }
    {
        const stranger silent(path);
        EXPECT_TRUE(silent.is_refused());
    }
    EXPECT_NE(here.httpd().error_log().find("is refused: it did not bring a client's TCP connection"),
              std::string::npos);
    EXPECT_NE(here.httpd().error_log().find("is refused: no message came"), std::string::npos);
    // httpd is none the worse.
    auto client = here.client();
    for (int i = 0; i < 5; ++i)
        here.expect_handed_off(client.get("/file"), "file");
}

} // namespace
} // namespace dlhandoff::test
