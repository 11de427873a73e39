// httpd with listeners of its own, or with ones that systemd has opened (sd_listen_fds(3)): both stay what
// they are over restarts, beside the socket over which connections come back.
#include "shared/descriptor_passing.hpp"
#include "tests/integration/harness/site.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

bool has_mod_systemd() {
    return std::filesystem::exists(HTTPD_MODULE_DIR "/mod_systemd.so");
}

sockaddr_in address_of(const private_httpd& httpd) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(httpd.port());
    ::inet_pton(AF_INET, httpd.address().c_str(), &address.sin_addr);
    return address;
}

/// Listens where this httpd would; open over execve(2).
file_descriptor listen_in_place_of(const private_httpd& httpd, int protocol) {
    file_descriptor listener(::socket(AF_INET, SOCK_STREAM, protocol));
    const sockaddr_in address = address_of(httpd);
    const int yes = 1;
    if (!listener || ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(listener.get(), 64) < 0)
        throw_errno("listen");
    return listener;
}

/// Whether a client of Multipath TCP goes on with plain TCP, as the kernel may decide on either side.
bool has_fallen_back(int client) {
    mptcp_info info{};
    socklen_t length = sizeof info;
    constexpr int sol_mptcp = 284; // SOL_MPTCP, which this C library may not have
    if (::getsockopt(client, sol_mptcp, MPTCP_INFO, &info, &length) < 0)
        return errno == EOPNOTSUPP;
    return (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) != 0;
}

/// As systemd starts a service whose socket has the number 3.
std::vector<std::string> activated(const private_httpd& httpd, int listener) {
    return {"/bin/bash",
            "-c",
            "eval \"exec 3<&$1 $1<&-\"; shift; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"",
            "bash",
            std::to_string(listener),
            HTTPD_PROGRAM,
            "-f",
            httpd.configuration_file(),
            "-DFOREGROUND"};
}

std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
}

std::size_t sockets_of(pid_t process) {
    return static_cast<std::size_t>(std::ranges::count_if(
        descriptors_of(process), [](const std::string& target) { return target.starts_with("socket:"); }));
}

/// Two downloads over one connection: it has come back in between.
void expect_downloads(const site& here) {
    auto client = here.client();
    for (int i = 0; i < 2; ++i) {
        const auto response = client.get("/file");
        here.expect_handed_off(response, "file");
        EXPECT_EQ(response.new_connections, i == 0 ? 1 : 0);
    }
}

class listeners : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(listeners, EVERY_SETUP);

TEST_P(listeners, leak_nothing_over_graceful_restarts) {
    constexpr int threads = 2;
    site here({.how = GetParam(), .httpd = {.processes = 1, .threads = threads}});
    here.add_document("file", size);
    expect_downloads(here);
    // The first one may open what stays: what follows is compared with it.
    here.httpd().graceful_restart_when_idle();
    expect_downloads(here);
    const auto in_parent = descriptors_of(here.httpd().pid()).size();
    const auto in_child = sockets_of(here.httpd().children().front());
    const auto files = files_in(here.directory() / "run");
    for (int i = 0; i < 5; ++i) {
        SCOPED_TRACE(i);
        here.httpd().graceful_restart_when_idle();
        expect_downloads(here);
        EXPECT_EQ(descriptors_of(here.httpd().pid()).size(), in_parent);
        EXPECT_EQ(files_in(here.directory() / "run"), files);
    }
    // Connections that wait for their clients' next requests are over soon. Each thread may have made one of
    // its own to the manager meanwhile.
    EXPECT_TRUE(eventually([&] { return sockets_of(here.httpd().children().front()) <= in_child + threads; }))
        << in_child << " before, now " << sockets_of(here.httpd().children().front());
}

/// httpd with its listener from systemd, as this test has it.
struct activated_site {
    explicit activated_site(const setup& how, const std::string& directives = {}, int protocol = IPPROTO_TCP)
        : site({.how = how,
                .httpd = {.threads = 2, .modules = {"systemd"}, .configuration = directives},
                .start = false}) {
        site.add_document("file", size);
        {
            const file_descriptor listener = listen_in_place_of(site.httpd(), protocol);
            httpd.emplace(child_process::options{.command = activated(site.httpd(), listener.get()),
                                                 .output = site.directory() / "logs/console.log"});
        }
        const bool up = eventually([&] {
            return !httpd->running() ||
                   site.httpd().error_log().find("resuming normal operations") != std::string::npos;
        });
        if (!up || !httpd->running())
            throw std::runtime_error("httpd did not start: " + said());
    }
    ~activated_site() { stop(); }
    activated_site(const activated_site&) = delete;
    activated_site& operator=(const activated_site&) = delete;

    void stop() {
        httpd->signal(SIGTERM);
        EXPECT_TRUE(httpd->wait_for_exit(20s)) << said();
    }
    [[nodiscard]] std::string said() const {
        return read_file(site.directory() / "logs/console.log") + site.httpd().error_log();
    }

    test::site site;
    std::optional<child_process> httpd;
};

class socket_activation : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(socket_activation, EVERY_SETUP);

TEST_P(socket_activation, works) {
    if (!has_mod_systemd())
        GTEST_SKIP() << "this httpd has no mod_systemd, and takes no listeners from systemd";
    activated_site here(GetParam());
    for (int connection = 0; connection < 3; ++connection)
        expect_downloads(here.site);
    EXPECT_EQ(files_in(here.site.directory() / "run").size(), 2U) << "the pid file and the return socket";
    here.stop();
    EXPECT_TRUE(files_in(here.site.directory() / "run").empty());
}

TEST_P(socket_activation, takes_plain_clients_at_a_listener_of_multipath_tcp) {
    if (!has_mod_systemd())
        GTEST_SKIP() << "this httpd has no mod_systemd, and takes no listeners from systemd";
    if (!file_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP)))
        GTEST_SKIP() << "this kernel has no Multipath TCP, or it is off (net.mptcp.enabled)";
    activated_site here(GetParam(), {}, IPPROTO_MPTCP);
    expect_downloads(here.site);
    file_descriptor multipath(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP));
    const sockaddr_in address = address_of(here.site.httpd());
    ASSERT_EQ(::connect(multipath.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const bool is_plain = has_fallen_back(multipath.get());
    raw_client raw(std::move(multipath));
    for (const char* probe : {"first", "second"}) {
        raw.send(here.site.get_request("/file", probe));
        EXPECT_EQ(status_of(raw.read_head()), 200);
        EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
        EXPECT_EQ(here.site.httpd().note_of(probe), is_plain ? "claimed" : "declined:not-tcp");
    }
}

class socket_activation_in_buckets : public ::testing::TestWithParam<setup> {};
// What prefork itself makes of it does not accept.
INSTANTIATE_FOR_SETUPS(socket_activation_in_buckets, setup{"worker"}, setup{"event"}, setup{"event", true});

/// httpd duplicates listeners from systemd without looking at what they are: no return socket may be there.
TEST_P(socket_activation_in_buckets, ends_connections_and_says_so) {
    if (!has_mod_systemd())
        GTEST_SKIP() << "this httpd has no mod_systemd, and takes no listeners from systemd";
    activated_site here(GetParam(), "ListenCoresBucketsRatio 1\n");
    auto client = here.site.client();
    for (int i = 0; i < 3; ++i) {
        const auto response = client.get("/file");
        here.site.expect_handed_off(response, "file");
        EXPECT_EQ(response.field("Connection"), "close");
    }
    EXPECT_EQ(files_in(here.site.directory() / "run").size(), 1U) << "the pid file";
    EXPECT_NE(here.site.httpd().error_log().find("Remove ListenCoresBucketsRatio"), std::string::npos);
    here.stop();
}

} // namespace
} // namespace dlhandoff::test
