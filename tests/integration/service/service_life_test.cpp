// How a manager starts, stops and changes: its socket, its signals, its configuration.
#include "shared/unix_address.hpp"
#include "tests/integration/service/service_fixture.hpp"

#include "shared/release.hpp"

#include <array>
#include <csignal>
#include <filesystem>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace dlhandoff::test {
namespace {

using ::testing::HasSubstr;

class service_life : public service_fixture {
  public:
    void configure(const std::string& top, const std::string& rest = {}) const {
        write_file(configuration(), "listen = \"" + manager.socket() + "\"\n" + top +
                                        "\nmanagers = 1\nmax_managers = 1\n[log]\ntransfers = \"" +
                                        manager.transfer_log() + "\"\n" + rest);
    }
    [[nodiscard]] std::string configuration() const { return directory / "manager/dlmanagerd.toml"; }

    [[nodiscard]] std::string logged_outcome() const {
        const auto line =
            transfer_log_reader(manager.transfer_log()).wait_for([](const auto&) { return true; });
        return line ? (*line)["outcome"].get<std::string>() : "nothing";
    }
    [[nodiscard]] bool socket_exists() const { return std::filesystem::exists(manager.socket()); }

    /// Whether the manager has closed the session.
    static bool is_over(worker_peer& worker) { return !worker.next_answer().has_value(); }
};

TEST_F(service_life, its_socket_is_for_owner_and_group_and_goes_with_it) {
    manager.start();
    struct stat status {};
    ASSERT_EQ(::stat(manager.socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, S_IFSOCK | 0660u);
    manager.signal(SIGTERM);
    EXPECT_EQ(manager.exit_status(10s), 0);
    EXPECT_FALSE(socket_exists());
    EXPECT_FALSE(std::filesystem::exists(manager.socket() + ".lock"));
}

TEST_F(service_life, a_second_one_is_refused_and_the_first_undisturbed) {
    manager.start();
    worker_peer worker(manager.socket());
    const auto second = run_command({DLMANAGERD_PROGRAM, "--listen", manager.socket()});
    EXPECT_EQ(second.status, 1);
    EXPECT_THAT(second.output, HasSubstr("listens at " + manager.socket() + " already"));
    expect_a_good_offer_works(worker);
    worker_peer another(manager.socket());
    expect_a_good_offer_works(another);
}

TEST_F(service_life, says_its_release_first) {
    manager.start();
    const std::string log = manager.output();
    const auto said = log.find(std::string("dlmanagerd ") + release() + " (wire ");
    EXPECT_NE(said, std::string::npos) << log;
    EXPECT_LT(said, log.find("listening at")) << log;
}

TEST_F(service_life, a_killed_ones_socket_is_taken_over) {
    manager.start();
    manager.kill();
    ASSERT_TRUE(socket_exists());
    manager.start();
    worker_peer worker(manager.socket());
    expect_a_good_offer_works(worker);
}

TEST_F(service_life, of_many_that_start_at_once_one_listens) {
    const std::string path = directory / "manager/raced.sock";
    const std::string log = directory / "raced.log";
    std::vector<std::unique_ptr<child_process>> starters;
    for (int i = 0; i < 8; ++i)
        starters.push_back(std::make_unique<child_process>(
            child_process::options{.command = {DLMANAGERD_PROGRAM, "--listen", path},
                                   .output = log,
                                   .run_as = {},
                                   .descriptors = {}}));
    const auto running = [&] {
        return std::ranges::count_if(starters, [](auto& one) { return one->running(); });
    };
    EXPECT_TRUE(eventually([&] { return running() == 1; })) << read_file(log);
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(path); }));
    worker_peer worker(path);
    expect_a_good_offer_works(worker);
    for (const auto& one : starters) {
        const bool listens = one->running();
        one->signal(SIGINT);
        const auto status = one->wait_for_exit(10s);
        ASSERT_TRUE(status.has_value());
        EXPECT_EQ(WEXITSTATUS(*status), listens ? 0 : 1);
    }
}

TEST_F(service_life, needs_no_network_of_its_own) {
    if (::geteuid() != 0 || run_command({"/usr/bin/unshare", "-n", "/bin/true"}).status != 0)
        GTEST_SKIP() << "needs the right to make a network namespace";
    const std::string path = directory / "manager/isolated.sock";
    child_process isolated({.command = {"/usr/bin/unshare", "-n", DLMANAGERD_PROGRAM, "--listen", path},
                            .output = directory / "isolated.log",
                            .run_as = {},
                            .descriptors = {}});
    EXPECT_TRUE(eventually([&] { return accepts(path); })) << read_file(directory / "isolated.log");
    {
        worker_peer worker(path);
        expect_a_good_offer_works(worker);
    }
    isolated.signal(SIGINT);
    EXPECT_TRUE(isolated.wait_for_exit(10s).has_value());
}

TEST_F(service_life, term_lets_downloads_end_and_a_successor_begin) {
    manager.start();
    worker_peer worker(manager.socket());
    const auto download = begin_slow_download(worker);
    manager.signal(SIGTERM);
    EXPECT_TRUE(is_over(worker));
    EXPECT_TRUE(eventually([&] { return !socket_exists(); }));

    child_process successor({.command = {DLMANAGERD_PROGRAM, "--listen", manager.socket()},
                             .output = directory / "successor.log",
                             .run_as = {},
                             .descriptors = {}});
    EXPECT_TRUE(eventually([&] { return accepts(manager.socket()); }))
        << read_file(directory / "successor.log");
    EXPECT_FALSE(manager.ended(0ms));
    EXPECT_TRUE(download->client.read_to_end() == download->response());
    download->client.close();
    EXPECT_EQ(manager.exit_status(10s), 0);
    EXPECT_EQ(logged_outcome(), "complete");
    // What the first one leaves is the second one's.
    EXPECT_TRUE(socket_exists());
    successor.signal(SIGTERM);
    EXPECT_TRUE(successor.wait_for_exit(10s).has_value());
}

TEST_F(service_life, term_cuts_downloads_that_outlast_the_drain_timeout) {
    configure("drain_timeout = \"300ms\"");
    manager.start();
    worker_peer worker(manager.socket());
    const auto download = begin_slow_download(worker);
    EXPECT_GE(duration_of([&] {
                  manager.signal(SIGTERM);
                  EXPECT_EQ(manager.exit_status(10s), 0);
              }),
              300ms);
    EXPECT_EQ(logged_outcome(), "shutdown");
    EXPECT_LT(download->client.read_to_end().size(), download->response().size());
    EXPECT_TRUE(download->client.was_reset());
}

class service_stop_at_once : public service_life, public ::testing::WithParamInterface<int> {};

TEST_P(service_stop_at_once, cuts_downloads) {
    manager.start();
    worker_peer worker(manager.socket());
    const auto download = begin_slow_download(worker);
    manager.signal(GetParam());
    EXPECT_EQ(manager.exit_status(5s), 0);
    EXPECT_EQ(logged_outcome(), "shutdown");
    EXPECT_FALSE(socket_exists());
}

TEST_P(service_stop_at_once, cuts_a_drain_short) {
    manager.start();
    worker_peer worker(manager.socket());
    const auto download = begin_slow_download(worker);
    manager.signal(SIGTERM);
    ASSERT_TRUE(eventually([&] { return !socket_exists(); }));
    EXPECT_FALSE(manager.ended(0ms));
    manager.signal(GetParam());
    EXPECT_EQ(manager.exit_status(5s), 0);
}

INSTANTIATE_TEST_SUITE_P(signals, service_stop_at_once, ::testing::Values(SIGINT, SIGQUIT),
                         [](const auto& one) { return std::string(::sigabbrev_np(one.param)); });

TEST_F(service_life, hup_reopens_the_transfer_log) {
    manager.start();
    worker_peer worker(manager.socket());
    expect_a_good_offer_works(worker);
    ASSERT_EQ(logged_outcome(), "complete");
    std::filesystem::rename(manager.transfer_log(), manager.transfer_log() + ".1");
    manager.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(manager.transfer_log()); }));
    expect_a_good_offer_works(worker);
    EXPECT_EQ(logged_outcome(), "complete");
    EXPECT_EQ(transfer_log_reader(manager.transfer_log() + ".1").lines().size(), 1u);
}

TEST_F(service_life, hup_applies_what_has_changed) {
    configure("", "[limits]\ntransfers = 1\nqueue = 0\n");
    manager.start();
    worker_peer worker(manager.socket());
    const auto slow = begin_slow_download(worker);
    open_download second(document);
    EXPECT_EQ(offer_to(worker, second).reason, refusal::full);
    configure("", "[limits]\ntransfers = 2\n");
    manager.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return offer_to(worker, second).claimed; }));
}

TEST_F(service_life, hup_keeps_the_old_configuration_when_the_new_one_is_wrong) {
    manager.start();
    worker_peer worker(manager.socket());
    configure("drain_timeout = 5");
    manager.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] {
        return manager.output().find(configuration() + ":2: drain_timeout: expected a string") !=
               std::string::npos;
    }));
    EXPECT_THAT(manager.output(), HasSubstr("not reloaded, everything goes on as before"));
    expect_a_good_offer_works(worker);
    EXPECT_EQ(logged_outcome(), "complete");
}

TEST_F(service_life, hup_keeps_the_old_log_when_the_new_one_cannot_be_opened) {
    manager.start();
    worker_peer worker(manager.socket());
    write_file(configuration(), "listen = \"" + manager.socket() +
                                    "\"\nmanagers = 1\n[log]\ntransfers = \"/nonexistent/transfers.log\"\n");
    manager.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] {
        return manager.output().find("/nonexistent/transfers.log: No such file") != std::string::npos;
    })) << manager.output();
    expect_a_good_offer_works(worker);
    EXPECT_EQ(logged_outcome(), "complete");
}

TEST_F(service_life, a_wrong_configuration_ends_it_with_2) {
    configure("speed = 1");
    for (const std::string more : {"--check-config", "--listen=/nonexistent/x.sock"}) {
        const auto result = run_command({DLMANAGERD_PROGRAM, "--config", configuration(), more});
        EXPECT_EQ(result.status, 2);
        EXPECT_EQ(result.output,
                  configuration() + ":2: speed: unknown key; allowed here: listen, allow_users, admin_users, "
                                    "drain_timeout, managers, max_managers, duplicate_idle, admin, log, "
                                    "limits, class\n");
    }
    EXPECT_EQ(run_command({DLMANAGERD_PROGRAM, "--no-such-option"}).status, 2);
}

TEST_F(service_life, what_it_cannot_use_ends_it_with_1) {
    const auto result = run_command({DLMANAGERD_PROGRAM, "--listen", "/nonexistent/x.sock"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("/nonexistent/x.sock.lock"));
}

TEST_F(service_life, check_config_and_version_end_it_with_0) {
    EXPECT_EQ(run_command({DLMANAGERD_PROGRAM, "--check-config", "--config", configuration()}).status, 0);
    EXPECT_THAT(run_command({DLMANAGERD_PROGRAM, "--version"}).output, HasSubstr("dlmanagerd 0."));
    EXPECT_THAT(run_command({DLMANAGERD_PROGRAM, "--help"}).output, HasSubstr("--check-config"));
}

TEST_F(service_life, the_packaged_configuration_is_fine) {
    const auto result = run_command(
        {DLMANAGERD_PROGRAM, "--check-config", "--config", HTTPD_CONF_DIR "/../packaging/dlmanagerd.toml"});
    EXPECT_EQ(result.output, "The configuration is fine.\n");
    EXPECT_EQ(result.status, 0);
}

TEST_F(service_life, tells_systemd_when_it_is_ready_reloading_and_stopping) {
    if (run_command({DLMANAGERD_PROGRAM, "--version"}).output.find("systemd") == std::string::npos)
        GTEST_SKIP() << "built without libsystemd";
    const std::string path = directory / "notify.sock";
    const file_descriptor listener(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(unix_address::of(path).value().bind(listener.get()));
    const auto next = [&listener]() -> std::string {
        pollfd one{listener.get(), POLLIN, 0};
        std::array<char, 512> text{};
        if (::poll(&one, 1, 10'000) != 1)
            return "nothing";
        const ssize_t size = ::recv(listener.get(), text.data(), text.size(), 0);
        return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    };
    child_process service({.command = {"/usr/bin/env", "NOTIFY_SOCKET=" + path, DLMANAGERD_PROGRAM,
                                       "--listen", directory / "manager/notifying.sock"},
                           .output = directory / "notifying.log",
                           .run_as = {},
                           .descriptors = {}});
    EXPECT_EQ(next(), "READY=1");
    EXPECT_TRUE(worker_peer::try_connect(directory / "manager/notifying.sock").has_value());
    service.signal(SIGHUP);
    EXPECT_THAT(next(), ::testing::StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_EQ(next(), "READY=1");
    service.signal(SIGTERM);
    EXPECT_EQ(next(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000");
    EXPECT_TRUE(service.wait_for_exit(10s).has_value());
}

/// In a process of another user: 0 if the manager says hello and, should the session be `kept`, closes it
/// only later.
int connect_as(uid_t user, gid_t group, const std::string& path, int connected) {
    if (::setgroups(0, nullptr) < 0 || ::setgid(group) < 0 || ::setuid(user) < 0)
        return 3;
    try {
        auto worker = worker_peer::try_connect(path);
        if (!worker)
            return 1;
        if (::write(connected, "c", 1) != 1)
            return 3;
        return worker->next_answer(20s) ? 2 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 3;
    }
}

TEST_F(service_life, only_allowed_users_may_connect_also_after_a_reload) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs root, to become other users";
    constexpr uid_t somebody = 54'321;
    configure("allow_users = [54321]");
    manager.start();
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const file_descriptor told(ends[0]);
    const file_descriptor tell(ends[1]);
    const auto start = [&](uid_t user) {
        const pid_t child = ::fork();
        if (child == 0)
            ::_exit(connect_as(user, httpd_account().group, manager.socket(), tell.get()));
        return child;
    };
    const auto result_of = [](pid_t child) {
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    };
    EXPECT_EQ(result_of(start(somebody + 1)), 1);
    EXPECT_TRUE(eventually([&] {
        return manager.output().find("user id 54322, who is not in allow_users") != std::string::npos;
    }));

    const pid_t allowed = start(somebody);
    pollfd one{told.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&one, 1, 10'000), 1) << "the allowed user has not been let in";
    configure("allow_users = []");
    manager.signal(SIGHUP);
    EXPECT_EQ(result_of(allowed), 0);
    EXPECT_EQ(result_of(start(somebody)), 1);
    // Root always may.
    worker_peer worker(manager.socket());
    expect_a_good_offer_works(worker);
}

} // namespace
} // namespace dlhandoff::test
