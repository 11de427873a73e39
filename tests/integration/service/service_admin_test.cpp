// The admin socket: who answers, and that managers that hang do not hold the answer up for long.
#include "shared/unix_address.hpp"
#include "tests/integration/service/service_fixture.hpp"

#include <csignal>
#include <sys/socket.h>
#include <sys/stat.h>

namespace dlhandoff::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class service_admin : public service_fixture {
  public:
    service_admin() : service_fixture({.managers = 2, .max_managers = 2}) {
        manager.start();
        EXPECT_TRUE(eventually([this] { return manager.managers().size() == 2; }));
    }
    [[nodiscard]] std::string path() const { return manager.admin_socket(); }

    [[nodiscard]] raw_client connect() const {
        file_descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!unix_address::of(path()).value().connect(socket.get()))
            throw_errno("connect(admin socket)");
        return raw_client(std::move(socket));
    }
    [[nodiscard]] std::string ask(const std::string& request = status_request) const {
        raw_client socket = connect();
        socket.send(request);
        return socket.read_to_end();
    }
    /// Both managers live and say so.
    [[nodiscard]] bool both_answer() const {
        const std::string said = ask();
        return said.find("\"name\":\"m1\"") != std::string::npos &&
               said.find("\"name\":\"m2\"") != std::string::npos &&
               said.find("\"state\":\"live\"") != said.rfind("\"state\":\"live\"");
    }

    static inline const std::string status_request = "{\"command\":\"status\"}\n";
};

TEST_F(service_admin, has_each_manager_write_its_part) {
    EXPECT_TRUE(eventually([this] { return both_answer(); })) << ask();
    EXPECT_THAT(ask(), EndsWith("{\"end\":true}\n"));
}

TEST_F(service_admin, answers_as_soon_as_all_have_reported) {
    ASSERT_TRUE(eventually([this] { return both_answer(); }));
    EXPECT_TRUE(eventually([this] {
        return duration_of([this] { EXPECT_THAT(ask(), HasSubstr("\"end\"")); }) < 1s; // its patience
    }));
}

TEST_F(service_admin, says_who_hangs) {
    ASSERT_TRUE(eventually([this] { return both_answer(); }));
    const pid_t hung = manager.managers().front();
    const std::string silent = "\"pid\":" + std::to_string(hung) + ",\"state\":\"silent\"";
    stop_process(hung);
    EXPECT_THAT(ask(),
                AllOf(HasSubstr(silent), HasSubstr("\"state\":\"live\""), HasSubstr("{\"managers\":2,")));
    ::kill(hung, SIGCONT);
    EXPECT_TRUE(eventually([this] { return both_answer(); })) << ask();
}

TEST_F(service_admin, answers_several_in_turn_and_survives_those_who_go) {
    std::vector<raw_client> sockets;
    for (int i = 0; i < 5; ++i)
        sockets.push_back(connect());
    for (raw_client& one : sockets)
        one.send(status_request);
    sockets.erase(sockets.begin() + 2);
    for (raw_client& one : sockets)
        EXPECT_THAT(one.read_to_end(), EndsWith("{\"end\":true}\n"));
}

TEST_F(service_admin, refuses_a_request_that_is_too_long) {
    raw_client socket = connect();
    socket.send(std::string(66'000, 'x'));
    EXPECT_THAT(socket.read_to_end(), HasSubstr("a request has 65536 bytes at most"));
    EXPECT_THAT(ask(), HasSubstr("{\"end\":true}"));
}

TEST_F(service_admin, is_for_owner_and_group_and_goes_with_the_service) {
    struct stat status {};
    ASSERT_EQ(::stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, S_IFSOCK | 0660u);
    manager.signal(SIGTERM);
    EXPECT_EQ(manager.exit_status(10s), 0);
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(service_admin, answers_only_those_who_may_ask_also_after_a_reload) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs root, to become other users";
    // Of the service's group, as any script of httpd's is.
    const auto status = [this] {
        const std::string heard = directory / "heard";
        std::filesystem::remove(heard);
        child_process dlctl({.command = {DLCTL_PROGRAM, "--socket", path(), "status"},
                             .output = heard,
                             .run_as = httpd_account()});
        const int ended = dlctl.wait_for_exit(10s).value_or(-1);
        return std::pair(WEXITSTATUS(ended), read_file(heard));
    };
    const auto refused = status();
    EXPECT_EQ(refused.first, 1);
    EXPECT_THAT(refused.second, HasSubstr("user " + std::to_string(httpd_account().user) +
                                          " may not ask: only root, the service's own user, and those in "
                                          "admin_users may"));
    const std::string settings = directory / "manager/dlmanagerd.toml";
    write_file(settings, "admin_users = [\"" + httpd_account().user_name + "\"]\n" + read_file(settings));
    manager.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return status().first == 0; })) << status().second;
}

TEST_F(service_admin, takes_a_dead_ones_place_and_no_live_ones) {
    const std::string listen = directory / "manager/other.sock";
    const std::string settings = directory / "other.toml";
    write_file(settings, "listen = \"" + listen + "\"\nadmin = \"" + path() + "\"\n");
    const auto second = run_command({DLMANAGERD_PROGRAM, "--config", settings});
    EXPECT_EQ(second.status, 1);
    EXPECT_THAT(second.output, HasSubstr("listens at " + path() + " already"));
    EXPECT_THAT(ask(), HasSubstr("{\"end\":true}"));
    manager.kill();
    manager.start();
    ASSERT_TRUE(eventually([this] { return accepts(path(), SOCK_STREAM); }));
    EXPECT_TRUE(eventually([this] { return both_answer(); })) << ask();
}

TEST_F(service_admin, is_not_there_if_it_is_not_wanted) {
    const std::string listen = directory / "manager/quiet.sock";
    write_file(directory / "quiet.toml", "listen = \"" + listen + "\"\nadmin = \"\"\nmanagers = 1\n");
    manager.signal(SIGINT);
    ASSERT_EQ(manager.exit_status(10s), 0);
    child_process quiet({.command = {DLMANAGERD_PROGRAM, "--config", directory / "quiet.toml"},
                         .output = directory / "quiet.log"});
    EXPECT_TRUE(eventually([&] { return accepts(listen); })) << read_file(directory / "quiet.log");
    EXPECT_FALSE(std::filesystem::exists(path()));
    quiet.signal(SIGINT);
    EXPECT_TRUE(quiet.wait_for_exit(10s).has_value());
}

} // namespace
} // namespace dlhandoff::test
