// Several managers: what the supervisor does when they die, hang, or when it dies itself.
#include "mod_dlhandoff/manager_client.hpp"
#include "tests/integration/service/service_fixture.hpp"

#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <vector>

namespace dlhandoff::test {
namespace {

using ::testing::HasSubstr;

class service_managers : public service_fixture {
  public:
    explicit service_managers(const manager_count& count = {.managers = 2, .max_managers = 2})
        : service_fixture(count) {}

    static pid_t process_of(const worker_peer& worker) {
        return static_cast<pid_t>(worker.greeting().manager_pid);
    }

    void expect_logged(const std::string& text) const {
        EXPECT_TRUE(eventually([&] { return manager.output().find(text) != std::string::npos; })) << text;
    }

    /// Offers the document through the module's own client; the client must get all of it if it was claimed.
    [[nodiscard]] httpd::handoff_result hand_off(httpd::manager_client& client) const {
        open_download download(document);
        offer what = download.make_offer();
        const int descriptors[] = {download.connection.get(), download.file.get()};
        const auto result = client.hand_off(what, descriptors);
        download.let_go();
        if (result.claimed()) {
            EXPECT_TRUE(download.client.read_to_end() == download.response());
        }
        return result;
    }
};

TEST_F(service_managers, are_as_many_as_asked_and_have_names) {
    manager.start();
    auto workers = connect_to_both();
    EXPECT_EQ(manager.managers().size(), 2u);
    for (unsigned i = 0; i < 2; ++i) {
        const worker_peer& worker = workers[i];
        EXPECT_EQ(worker.greeting().index, i);
        EXPECT_EQ(worker.greeting().manager.data(), "m" + std::to_string(i + 1));
        EXPECT_EQ(worker.greeting().epoch, workers[0].greeting().epoch);
        EXPECT_EQ(worker.status().pid, worker.greeting().manager_pid);
        EXPECT_EQ(worker.status().rank, manager_rank::base);
        EXPECT_GE(worker.greeting().slot, worker.the_board().first_slot_of(i));
        EXPECT_LT(worker.greeting().slot, worker.the_board().first_slot_of(i + 1));
        expect_a_good_offer_works(workers[i]);
    }
    const transfer_log_reader log(manager.transfer_log());
    for (const std::string name : {"m1", "m2"})
        EXPECT_TRUE(log.wait_for([&](const auto& line) { return line["manager"] == name; })) << name;
    expect_logged("m2: takes downloads");
}

TEST_F(service_managers, asked_for_on_the_command_line_are_started) {
    const std::string path = directory / "manager/three.sock";
    child_process service({.command = {DLMANAGERD_PROGRAM, "--listen", path, "--managers", "3"},
                           .output = directory / "three.log"});
    EXPECT_TRUE(eventually([&] { return children_of(service.pid()).size() == 3; }))
        << read_file(directory / "three.log");
    service.signal(SIGINT);
    EXPECT_TRUE(service.wait_for_exit(10s).has_value());
    const auto wrong = run_command({DLMANAGERD_PROGRAM, "--managers", "0"});
    EXPECT_EQ(wrong.status, 2);
    EXPECT_THAT(wrong.output, HasSubstr("\"0\" is no number of managers; allowed: 1 to 64, or auto"));
}

TEST_F(service_managers, keep_open_only_what_is_theirs) {
    manager.start();
    auto workers = connect_to_both();
    for (const worker_peer& worker : workers) {
        std::size_t channels = 0;
        for (const std::string& what : descriptors_of(process_of(worker)))
            channels += what.starts_with("socket:") ? 1U : 0U;
        EXPECT_EQ(channels, 2u) << "the channel to the supervisor, and a session";
    }
}

TEST_F(service_managers, that_are_killed_are_started_again) {
    manager.start();
    auto workers = connect_to_both();
    std::vector<std::unique_ptr<open_download>> lost;
    for (int i = 0; i < 3; ++i)
        lost.push_back(begin_slow_download(workers[0]));
    const auto kept = begin_slow_download(workers[1]);
    ASSERT_TRUE(eventually([&] { return workers[0].status().counters.active == 3; }));
    const pid_t killed = process_of(workers[0]);
    ::kill(killed, SIGKILL);
    EXPECT_FALSE(workers[0].next_answer().has_value());
    expect_logged("m1 (process " + std::to_string(killed) +
                  ") was ended by signal 9 (Killed); it had 3 downloads and 0 waiting requests, which are "
                  "lost; it is started again at once");
    for (const auto& one : lost)
        EXPECT_LT(one->client.read_to_end().size(), one->response().size());
    const manager_status& status = workers[1].the_board().manager(0);
    ASSERT_TRUE(eventually([&] { return status.state == manager_state::live; }));
    EXPECT_NE(status.pid, static_cast<std::uint32_t>(killed));
    EXPECT_EQ(status.counters.active, 0u);
    worker_peer again(manager.socket());
    EXPECT_EQ(again.greeting().index, 0u) << "m2 has a download";
    expect_a_good_offer_works(again);
    expect_a_good_offer_works(workers[1]);
    EXPECT_TRUE(kept->client.read_to_end() == kept->response());

    // So soon after its start, the next one has to wait.
    ::kill(process_of(again), SIGKILL);
    expect_logged("it is started again in 0.1 s");
    EXPECT_TRUE(eventually(
        [&] { return status.state == manager_state::live && status.pid != again.greeting().manager_pid; }));
}

TEST_F(service_managers, that_are_all_dead_turn_workers_away_at_once) {
    manager.start();
    auto workers = connect_to_both();
    const board& the_board = workers[0].the_board();
    // Five times in a row: then the pause is long enough to be met.
    for (int i = 0; i < 5; ++i)
        for (const std::uint32_t index : {0u, 1u}) {
            const manager_status& status = the_board.manager(index);
            ASSERT_TRUE(eventually([&] { return status.state == manager_state::live; }));
            const std::uint32_t killed = status.pid;
            ::kill(static_cast<pid_t>(killed), SIGKILL);
            ASSERT_TRUE(eventually([&] { return status.pid != killed; }));
        }
    ASSERT_EQ(the_board.manager(0).state, manager_state::vacant);
    ASSERT_EQ(the_board.manager(1).state, manager_state::vacant);
    EXPECT_FALSE(worker_peer::try_connect(manager.socket()).has_value());
    expect_logged("no manager can take it now; httpd serves");
    httpd::manager_client client(manager.socket(), 10s);
    EXPECT_TRUE(eventually([&] { return hand_off(client).claimed(); }));
}

TEST_F(service_managers, that_hang_are_left_alone) {
    constexpr auto claim_timeout = 2s;
    manager.start();
    auto workers = connect_to_both();
    httpd::manager_client client(manager.socket(), claim_timeout);
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(hand_off(client).claimed());
    stop_process(process_of(workers[0]));
    const std::uint64_t before = workers[1].status().counters.claims;
    for (int i = 0; i < 30; ++i) {
        httpd::handoff_result result;
        EXPECT_LT(duration_of([&] { result = hand_off(client); }), claim_timeout + 1s) << i;
        EXPECT_TRUE(result.claimed()) << i << ": " << name(*result.declined);
    }
    EXPECT_EQ(workers[1].status().counters.claims, before + 30);
    // Nor are new connections passed to it, once its heartbeat has stopped.
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(worker_peer(manager.socket()).greeting().index, 1u);
    ::kill(process_of(workers[0]), SIGCONT);
    const auto late = [&] { return workers[0].status().counters.claims.load(); };
    const std::uint64_t claims = late();
    EXPECT_TRUE(eventually([&] { return hand_off(client).claimed() && late() > claims; }))
        << "it is asked again when it has come back";
}

TEST_F(service_managers, that_hang_in_their_sleep_get_one_connection) {
    manager.start();
    auto workers = connect_to_both();
    const pid_t sleeper = process_of(workers[0]);
    const manager_status& status = workers[1].the_board().manager(0);
    workers.erase(workers.begin());
    ASSERT_TRUE(eventually([&] { return status.heartbeat == manager_status::asleep; }));
    stop_process(sleeper);
    const auto offer_anew = [this] {
        httpd::manager_client client(manager.socket(), 300ms);
        return hand_off(client);
    };
    // It has the fewest connections, and nothing says yet that it does not wake.
    const auto first = offer_anew();
    ASSERT_FALSE(first.claimed());
    EXPECT_EQ(name(*first.declined), "manager-unresponsive");
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(offer_anew().claimed()) << i;
    ::kill(sleeper, SIGCONT);
    EXPECT_TRUE(eventually([&] { return status.heartbeat == manager_status::asleep; }));
    EXPECT_TRUE(offer_anew().claimed());
}

TEST_F(service_managers, mind_no_signal) {
    manager.start();
    auto workers = connect_to_both();
    for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP})
        ::kill(process_of(workers[0]), number);
    for (int i = 0; i < 5; ++i)
        expect_a_good_offer_works(workers[0]);
    EXPECT_EQ(workers[0].status().pid, workers[0].greeting().manager_pid);
    EXPECT_EQ(workers[0].status().state, manager_state::live);
}

TEST_F(service_managers, all_reopen_the_transfer_log) {
    manager.start();
    auto workers = connect_to_both();
    std::filesystem::rename(manager.transfer_log(), manager.transfer_log() + ".1");
    manager.signal(SIGHUP);
    expect_logged("configuration read again");
    for (worker_peer& worker : workers)
        expect_a_good_offer_works(worker);
    const transfer_log_reader log(manager.transfer_log());
    for (const std::string name : {"m1", "m2"})
        EXPECT_TRUE(log.wait_for([&](const auto& line) { return line["manager"] == name; })) << name;
}

TEST_F(service_managers, that_hang_when_the_service_ends_are_killed_in_the_end) {
    manager.start();
    auto workers = connect_to_both();
    stop_process(process_of(workers[0]));
    manager.signal(SIGINT);
    EXPECT_EQ(manager.exit_status(30s), 0);
    expect_logged("does not end; it is killed");
}

TEST_F(service_managers, finish_and_end_when_the_supervisor_is_killed) {
    manager.start();
    auto workers = connect_to_both();
    httpd::manager_client client(manager.socket(), 10s);
    EXPECT_TRUE(hand_off(client).claimed());
    const auto download = begin_slow_download(workers[0]);
    const pid_t old = manager.pid();
    manager.kill_supervisor();
    EXPECT_FALSE(workers[0].next_answer().has_value());
    const auto said = workers[1].next_answer(); // to a worker that was about to make its first offer
    EXPECT_TRUE(said.has_value() && !said->claimed && said->reason == refusal::stopping);
    expect_logged("the supervisor is gone: no new downloads; 1 under way");
    EXPECT_TRUE(eventually([&] { return processes_of_session(old).size() == 1; })) << "m2 has nothing to do";

    child_process successor({.command = {DLMANAGERD_PROGRAM, "--listen", manager.socket()},
                             .output = directory / "successor.log"});
    EXPECT_TRUE(eventually([&] { return hand_off(client).claimed(); }))
        << read_file(directory / "successor.log");
    worker_peer fresh(manager.socket());
    EXPECT_NE(fresh.greeting().epoch, workers[0].greeting().epoch);
    EXPECT_TRUE(download->client.read_to_end() == download->response());
    download->client.close();
    EXPECT_TRUE(eventually([&] { return processes_of_session(old).empty(); }));
    EXPECT_TRUE(hand_off(client).claimed());
    successor.signal(SIGINT);
    EXPECT_TRUE(successor.wait_for_exit(10s).has_value());
}

TEST_F(service_managers, mind_signals_when_the_supervisor_is_killed) {
    manager.start();
    auto workers = connect_to_both();
    const auto download = begin_slow_download(workers[0]);
    const pid_t old = manager.pid();
    // What came before is not theirs.
    ::kill(process_of(workers[0]), SIGINT);
    manager.kill_supervisor();
    EXPECT_FALSE(workers[0].next_answer().has_value());
    EXPECT_TRUE(eventually([&] { return processes_of_session(old).size() == 1; }));
    expect_logged("the supervisor is gone: no new downloads; 1 under way");
    ::kill(process_of(workers[0]), SIGINT);
    EXPECT_TRUE(eventually([&] { return processes_of_session(old).empty(); }));
    EXPECT_LT(download->client.read_to_end().size(), download->response().size());
    const auto line = transfer_log_reader(manager.transfer_log()).wait_for([](const auto& one) {
        return one["outcome"] == "shutdown";
    });
    EXPECT_TRUE(line.has_value());
}

/// One manager with few descriptors, and what it may have beside it.
class service_duplicates : public service_managers {
  public:
    explicit service_duplicates(unsigned max_managers = 3)
        : service_managers({.managers = 1, .max_managers = max_managers, .duplicate_idle = "200ms"}) {
        std::ofstream(directory / "manager/dlmanagerd.toml", std::ios::app) << "[limits]\ndescriptors = 64\n";
        manager.start();
    }

    /// Begins downloads until the manager says that it has no room.
    void fill(worker_peer& worker) {
        while (worker.status().room != room_level::none && slow.size() < 64) {
            make_document(directory / ("large" + std::to_string(slow.size())), 4'000'000);
            auto download =
                std::make_unique<open_download>(directory / ("large" + std::to_string(slow.size())), 16'384);
            if (!offer_to(worker, *download).claimed)
                break;
            download->let_go();
            slow.push_back(std::move(download));
        }
        EXPECT_TRUE(eventually([&] { return worker.status().room == room_level::none; }));
        EXPECT_GT(slow.size(), 8u);
    }

    std::vector<std::unique_ptr<open_download>> slow;
};

TEST_F(service_duplicates, come_when_there_is_no_room_and_go_when_there_is_again) {
    worker_peer worker(manager.socket());
    fill(worker);
    open_download refused(document);
    const answer said = offer_to(worker, refused);
    EXPECT_FALSE(said.claimed);
    EXPECT_EQ(name(said.reason), "full");
    const board& the_board = worker.the_board();
    ASSERT_TRUE(eventually([&] { return the_board.manager(1).state == manager_state::live; }));
    EXPECT_EQ(the_board.manager(1).rank, manager_rank::duplicate);
    expect_logged("m2, a duplicate, is started");
    {
        // What the first has no room for, the second takes; what the first has, goes on.
        worker_peer other(manager.socket());
        EXPECT_EQ(other.greeting().index, 1u);
        expect_a_good_offer_works(other);
        httpd::manager_client client(manager.socket(), 10s);
        EXPECT_TRUE(hand_off(client).claimed());
        for (const auto& one : slow)
            EXPECT_TRUE(one->client.read_to_end() == one->response());
        slow.clear();
        ASSERT_TRUE(eventually([&] { return the_board.manager(0).room != room_level::none; }));
        const std::uint64_t claims = the_board.manager(0).counters.claims;
        EXPECT_TRUE(hand_off(client).claimed());
        EXPECT_EQ(the_board.manager(0).counters.claims, claims + 1) << "the base manager has room again";
    }
    EXPECT_TRUE(eventually([&] { return the_board.manager(1).state == manager_state::vacant; }));
    expect_logged("m2, a duplicate, ends: it has had nothing to do for 0.2 s");
    EXPECT_EQ(manager.managers().size(), 1u);
    worker_peer last(manager.socket());
    EXPECT_EQ(last.greeting().index, 0u);
    expect_a_good_offer_works(last);
}

TEST_F(service_duplicates, come_for_one_that_hangs_when_another_has_no_room) {
    manager.signal(SIGINT);
    ASSERT_EQ(manager.exit_status(10s), 0);
    const std::string settings = directory / "manager/dlmanagerd.toml";
    std::string text = read_file(settings);
    text.replace(text.find("managers = 1"), 12, "managers = 2");
    write_file(settings, text);
    manager.start();
    auto workers = connect_to_both();
    const board& the_board = workers[0].the_board();
    stop_process(process_of(workers[0]));
    fill(workers[1]);
    EXPECT_TRUE(eventually([&] { return the_board.manager(2).state == manager_state::live; }));
    ::kill(process_of(workers[0]), SIGCONT);
}

class service_without_duplicates : public service_duplicates {
  public:
    service_without_duplicates() : service_duplicates(1) {}
};

TEST_F(service_without_duplicates, refuses_when_it_is_full) {
    worker_peer worker(manager.socket());
    fill(worker);
    const std::uint64_t claims = worker.status().counters.claims;
    const std::uint64_t refusals = worker.refusals(refusal::full);
    httpd::manager_client client(manager.socket(), 10s);
    for (int i = 0; i < 5; ++i) {
        const auto result = hand_off(client);
        ASSERT_FALSE(result.claimed());
        EXPECT_EQ(name(*result.declined), "full");
    }
    EXPECT_EQ(worker.status().counters.claims, claims);
    EXPECT_LE(worker.refusals(refusal::full), refusals + 1)
        << "the board says it, after the first connection";
    EXPECT_LT(descriptors_of(manager.manager_pid()).size(), 64u);
    expect_logged("all managers, max_managers (1) of them, are at or near their limits");
    slow.clear();
    EXPECT_TRUE(eventually([&] { return hand_off(client).claimed(); }));
}

} // namespace
} // namespace dlhandoff::test
