// dlctl against a real service: what it shows of downloads under way, and what it does to them.
#include "tests/integration/service/service_fixture.hpp"

#include <map>
#include <set>
#include <sstream>
#include <vector>

namespace dlhandoff::test {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;

/// Two managers, a worker connected to each. Of the class bulk, one download at a time is sent.
class service_dlctl : public service_fixture {
  public:
    service_dlctl()
        : service_fixture({.managers = 2, .max_managers = 2}, "[class.bulk]\ntransfers = 1\n"),
          log(manager.transfer_log()) {
        make_document(large, 8'000'000);
        manager.start();
        workers = connect_to_both();
    }

    [[nodiscard]] command_result dlctl(std::vector<std::string> words) const {
        words.insert(words.begin(), {DLCTL_PROGRAM, "--socket", manager.admin_socket()});
        return run_command(words);
    }
    /// The lines of a good answer, without its end.
    [[nodiscard]] std::vector<json> lines_of(std::vector<std::string> words) const {
        words.insert(words.begin(), "--json");
        const auto result = dlctl(std::move(words));
        EXPECT_EQ(result.status, 0) << result.output;
        EXPECT_THAT(result.output, EndsWith("{\"end\":true}\n"));
        std::vector<json> lines;
        std::istringstream text(result.output);
        for (std::string line; std::getline(text, line);)
            lines.push_back(json::parse(line));
        if (!lines.empty())
            lines.pop_back();
        return lines;
    }
    [[nodiscard]] std::multiset<std::string> states_of(std::vector<std::string> words) const {
        std::multiset<std::string> states;
        for (const json& line : lines_of(std::move(words)))
            states.insert(line.at("manager").get<std::string>() + ' ' + line.at("state").get<std::string>());
        return states;
    }
    /// By manager and state, once there is one such transfer.
    [[nodiscard]] std::string id_of(const std::string& manager_name, const std::string& state) const {
        std::string id;
        EXPECT_TRUE(eventually([&] {
            for (const json& line : lines_of({"list"}))
                if (line.at("manager") == manager_name && line.at("state") == state)
                    id = line.at("id");
            return !id.empty();
        })) << "no "
            << manager_name << ' ' << state << " in " << ::testing::PrintToString(states_of({"list"}));
        return id;
    }
    /// A download whose client doesn't read by itself.
    [[nodiscard]] std::unique_ptr<open_download> begin(std::size_t worker, std::string_view client,
                                                       std::string_view transfer_class = {}) {
        auto download = std::make_unique<open_download>(large, 16'384);
        offer what = download->make_offer(client, transfer_class);
        const int descriptors[] = {download->connection.get(), download->file.get()};
        const auto& load = workers[worker].status().load;
        const std::uint64_t before = load;
        (void)workers[worker].send(what, descriptors);
        const auto said = workers[worker].next_answer();
        EXPECT_TRUE(said && said->claimed);
        // The answer goes before the download has its place, in the queue too.
        EXPECT_TRUE(eventually([&] { return load > before; }));
        download->let_go();
        return download;
    }

    std::vector<worker_peer> workers;
    transfer_log_reader log;
};

TEST_F(service_dlctl, status_has_each_manager_and_the_sums) {
    const auto one = begin(0, "192.0.2.1");
    const auto two = begin(1, "192.0.2.2");
    const auto three = begin(1, "192.0.2.2", "bulk");
    const auto four = begin(0, "192.0.2.1", "bulk");
    const auto lines = lines_of({"status"});
    ASSERT_EQ(lines.size(), 3u);
    for (unsigned i = 0; i < 2; ++i) {
        EXPECT_EQ(lines[i].at("name"), "m" + std::to_string(i + 1));
        EXPECT_EQ(lines[i].at("pid"), workers[i].greeting().manager_pid);
        EXPECT_EQ(lines[i].at("state"), "live");
        EXPECT_EQ(lines[i].at("claims"), 2);
    }
    EXPECT_EQ(lines[0].at("active"), 1);
    EXPECT_EQ(lines[1].at("active"), 2);
    EXPECT_EQ(lines[0].at("queued"), 1);
    EXPECT_EQ(lines[1].at("queued"), 0);
    const json& all = lines[2];
    EXPECT_EQ(all.at("managers"), 2);
    EXPECT_EQ(all.at("active"), 3);
    EXPECT_EQ(all.at("queued"), 1);
    EXPECT_EQ(all.at("offers"), 4);
    for (const char* sum : {"bytes_sent", "descriptors_used", "descriptors_limit", "tcp_memory_budget"}) {
        EXPECT_EQ(all.at(sum), lines[0].at(sum).get<std::uint64_t>() + lines[1].at(sum).get<std::uint64_t>());
        EXPECT_GT(lines[0].at(sum), 0) << sum;
    }
    // While a client reads, its manager sends.
    EXPECT_TRUE(eventually([&] {
        (void)one->client.read(50'000);
        return lines_of({"status"})[0].at("bytes_per_second") > 0;
    }));
    EXPECT_THAT(dlctl({"status"}).output, HasSubstr("m2"));
}

TEST_F(service_dlctl, list_selects_by_client_and_class) {
    EXPECT_TRUE(lines_of({"list"}).empty());
    const auto one = begin(0, "192.0.2.1");
    const auto two = begin(1, "192.0.2.2", "bulk");
    const auto three = begin(0, "192.0.2.1", "bulk");
    using expected = std::multiset<std::string>;
    EXPECT_EQ(states_of({"list"}), (expected{"m1 sending", "m2 sending", "m1 queued"}));
    EXPECT_EQ(states_of({"list", "--client", "192.0.2.1"}), (expected{"m1 sending", "m1 queued"}));
    EXPECT_EQ(states_of({"list", "--class", "bulk"}), (expected{"m2 sending", "m1 queued"}));
    EXPECT_EQ(states_of({"list", "--class", "bulk", "--client", "192.0.2.1"}), expected{"m1 queued"});
    EXPECT_EQ(states_of({"list", "--client", "192.0.2.3"}), expected{});
    EXPECT_EQ(states_of({"list", "--class", "none"}), expected{});
    const json line = lines_of({"list", "--client", "192.0.2.2"}).at(0);
    EXPECT_EQ(line.at("class"), "bulk");
    EXPECT_EQ(line.at("vhost"), "test");
    EXPECT_EQ(line.at("uri"), "/document");
    EXPECT_EQ(line.at("expected"), two->response().size());
    EXPECT_LT(line.at("sent"), line.at("expected"));
    EXPECT_THAT(dlctl({"list"}).output, HasSubstr("192.0.2.2"));
}

TEST_F(service_dlctl, list_has_all_of_many) {
    std::vector<std::unique_ptr<open_download>> downloads;
    for (int i = 0; i < 450; ++i) // more than two slices
        downloads.push_back(begin(0, "192.0.2.1", "bulk"));
    std::set<std::string> ids;
    const auto lines = lines_of({"list"});
    for (const json& line : lines)
        ids.insert(line.at("id"));
    EXPECT_EQ(lines.size(), 450u);
    EXPECT_EQ(ids.size(), 450u);
    EXPECT_EQ(states_of({"list"}).count("m1 queued"), 449u);
}

TEST_F(service_dlctl, cancel_resets_the_client_and_says_so_in_the_log) {
    const auto sending = begin(1, "192.0.2.1", "bulk");
    const auto queued = begin(0, "192.0.2.2", "bulk");
    const std::map<std::string, open_download*> all{{id_of("m1", "queued"), queued.get()},
                                                    {id_of("m2", "sending"), sending.get()}};
    for (const auto& [id, download] : all) {
        const auto result = dlctl({"cancel", id});
        EXPECT_EQ(result.status, 0);
        EXPECT_THAT(result.output, HasSubstr("Cancelled " + id));
        const auto line = log.wait_for([&id = id](const json& one) { return one.at("id") == id; });
        ASSERT_TRUE(line.has_value());
        EXPECT_EQ(line->at("outcome"), "cancelled");
        EXPECT_TRUE(download->client.ends(10s));
        EXPECT_TRUE(download->client.was_reset());
        EXPECT_EQ(dlctl({"cancel", id}).status, 1);
        EXPECT_THAT(manager.output(), HasSubstr(id + " is cancelled: user "));
    }
    EXPECT_TRUE(lines_of({"list"}).empty());
}

TEST_F(service_dlctl, cancel_of_nothing_fails_and_harms_nothing) {
    const auto download = begin(0, "192.0.2.1");
    const auto result = dlctl({"cancel", "nonsense"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("no transfer with this id is under way: nonsense"));
    EXPECT_TRUE(download->client.read_to_end() == download->response());
}

TEST_F(service_dlctl, cancel_says_if_a_manager_is_silent) {
    const auto download = begin(0, "192.0.2.1");
    const std::string id = id_of("m1", "sending");
    const auto hung = static_cast<pid_t>(workers[0].greeting().manager_pid);
    stop_process(hung);
    const auto result = dlctl({"cancel", id});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("m1 did not answer, and may still cancel " + id));
    ::kill(hung, SIGCONT);
    EXPECT_TRUE(download->client.ends(10s));
    EXPECT_TRUE(download->client.was_reset());
}

TEST_F(service_dlctl, drain_ends_the_service_with_its_last_download) {
    const auto download = begin(0, "192.0.2.1");
    const auto result = dlctl({"drain"});
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.output, HasSubstr("2 managers finish"));
    EXPECT_TRUE(eventually([this] { return !accepts(manager.socket()); }));
    EXPECT_THAT(manager.output(),
                HasSubstr("asks to drain: no new downloads; 1 under way may go on to their ends"));
    const auto again = dlctl({"status"});
    EXPECT_EQ(again.status, 1);
    EXPECT_THAT(again.output, HasSubstr("is dlmanagerd running"));
    EXPECT_TRUE(download->client.read_to_end() == download->response());
    download->client.close();
    EXPECT_EQ(manager.exit_status(20s), 0);
}

TEST_F(service_dlctl, drain_can_be_cut_short) {
    const auto download = begin(0, "192.0.2.1");
    EXPECT_EQ(dlctl({"drain"}).status, 0);
    manager.signal(SIGTERM);
    EXPECT_TRUE(eventually([this] {
        return manager.output().find("Terminated: no new downloads; 1 under way may go on for 20 s") !=
               std::string::npos;
    }));
    manager.signal(SIGINT);
    EXPECT_EQ(manager.exit_status(10s), 0);
    EXPECT_TRUE(download->client.ends(10s));
}

} // namespace
} // namespace dlhandoff::test
