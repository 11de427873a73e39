// Downloads while httpd restarts and stops, and what a restart leaves behind.
#include "tests/integration/harness/site.hpp"

#include <algorithm>
#include <csignal>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t large = 32 << 20;

class life_cycle : public ::testing::TestWithParam<setup> {
  protected:
    life_cycle() : here_({.how = GetParam(), .httpd = {.processes = GetParam().mpm == "prefork" ? 4 : 2}}) {
        here_.add_document("file", large);
        client_.emplace(here_.connect(small_receive_buffer));
        client_->send(here_.get_request("/file", "under-way", "Connection: close\r\n"));
        EXPECT_EQ(status_of(client_->read_head()), 200);
        begin_ = client_->read(1 << 20);
        EXPECT_EQ(here_.httpd().note_of("under-way"), "claimed");
    }

    void expect_rest() {
        EXPECT_TRUE(begin_ + client_->read_to_end() == sequence_bytes(0, large));
        EXPECT_FALSE(client_->was_reset());
        client_->close();
        const auto transfer = here_.transfers().transfer("under-way");
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "complete");
    }

    [[nodiscard]] bool accepts() const {
        try {
            (void)here_.connect();
            return true;
        } catch (const std::system_error&) {
            return false;
        }
    }

    site here_;
    std::optional<raw_client> client_;
    std::string begin_;
};
INSTANTIATE_FOR_SETUPS(life_cycle, EVERY_SETUP);

TEST_P(life_cycle, graceful_restart_lets_downloads_end) {
    const auto old_children = here_.httpd().children();
    ASSERT_FALSE(old_children.empty());
    here_.httpd().graceful_restart();
    // The new generation serves meanwhile, and hands off.
    here_.expect_handed_off(here_.client().get("/file"), "file");
    begin_ += client_->read(1 << 20);
    here_.httpd().graceful_restart();
    here_.expect_handed_off(here_.client().get("/file"), "file");
    expect_rest();
    // Nobody stays behind for nothing.
    EXPECT_TRUE(eventually([&] {
        const auto now = here_.httpd().children();
        return std::ranges::none_of(old_children,
                                    [&](pid_t old) { return std::ranges::count(now, old) > 0; });
    })) << "a child of the first generation is still there";
}

TEST_P(life_cycle, graceful_stop_lets_downloads_end) {
    here_.httpd().graceful_stop();
    EXPECT_TRUE(eventually([&] { return !accepts(); })) << "still accepts connections";
    if (!GetParam().service) {
        EXPECT_FALSE(here_.httpd().ended(500ms)) << "has ended with a download under way";
    }
    expect_rest();
    EXPECT_TRUE(here_.httpd().ended(10s));
}

TEST_P(life_cycle, stop_ends_embedded_downloads_and_no_others) {
    here_.httpd().stop();
    // httpd gives children of prefork three seconds until its second SIGTERM.
    EXPECT_TRUE(here_.httpd().ended(6s));
    if (GetParam().service) {
        expect_rest();
        return;
    }
    const std::string all = begin_ + client_->read_to_end(5s);
    EXPECT_LT(all.size(), large);
    EXPECT_TRUE(all == sequence_bytes(0, all.size()));
    const auto transfer = here_.transfers().transfer("under-way");
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("outcome"), "shutdown");
}

TEST_P(life_cycle, restart_ends_embedded_downloads_and_no_others) {
    here_.httpd().signal(SIGHUP);
    if (GetParam().service) {
        expect_rest();
    } else {
        const std::string all = begin_ + client_->read_to_end(10s);
        EXPECT_LT(all.size(), large);
        EXPECT_TRUE(all == sequence_bytes(0, all.size()));
    }
    http_response next;
    EXPECT_TRUE(eventually([&] { return (next = here_.client().get("/file")).error == CURLE_OK; }));
    here_.expect_handed_off(next, "file");
}

class stopping_manager : public life_cycle {};
INSTANTIATE_FOR_SETUPS(stopping_manager, EVERY_SERVICE);

TEST_P(stopping_manager, lets_downloads_end_and_leaves_new_ones_to_httpd) {
    here_.manager().signal(SIGTERM);
    http_response response;
    EXPECT_TRUE(eventually([&] {
        response = here_.client().get("/file");
        return here_.httpd().note_of(response.probe) != "claimed";
    }));
    here_.expect_served(response, "file");
    EXPECT_FALSE(here_.manager().ended(200ms));
    expect_rest();
    EXPECT_TRUE(here_.manager().ended(10s));
}

TEST_P(stopping_manager, at_once_cuts_downloads) {
    here_.manager().signal(SIGINT);
    EXPECT_TRUE(here_.manager().ended(5s));
    const std::string all = begin_ + client_->read_to_end(5s);
    EXPECT_LT(all.size(), large);
    EXPECT_TRUE(all == sequence_bytes(0, all.size()));
    const auto transfer = here_.transfers().transfer("under-way");
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("outcome"), "shutdown");
}

class restarts : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(restarts, setup{"prefork"}, setup{"worker"}, setup{"event"}, setup{"event", true});

/// Descriptors as a listing that can be compared between processes: without the numbers of pipes and sockets.
std::vector<std::string> kinds_of_descriptors(pid_t process) {
    auto found = descriptors_of(process);
    for (std::string& one : found)
        one.erase(std::min(one.find('['), one.size()));
    std::ranges::sort(found);
    return found;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string all;
    for (const std::string& line : lines)
        all += line + '\n';
    return all;
}

TEST_P(restarts, fifty_of_them_leak_no_descriptor) {
    site here({.how = GetParam(),
               .httpd = {.processes = 1,
                         .threads = 2,
                         .configuration = "DLHandoffMinSize 1K\nDLHandoffClaimTimeout 2s\n"}});
    here.add_document("file", 200'000);
    // Of the child after one more restart, once it has handed a download off: the old ones must have gone. An
    // old one may be the only one for a moment, until the new one is there.
    const auto child_after_a_download = [&] {
        const std::vector<pid_t> old = here.httpd().children();
        here.httpd().graceful_restart();
        std::vector<pid_t> children;
        EXPECT_TRUE(eventually([&] {
            children = here.httpd().children();
            return children.size() == 1 && std::ranges::count(old, children.at(0)) == 0;
        }));
        here.expect_handed_off(here.client().get("/file"), "file");
        EXPECT_EQ(here.httpd().children(), children);
        // The client's descriptors go a moment after the log's line.
        std::vector<std::string> kinds;
        EXPECT_TRUE(eventually([&] {
            const auto last = std::exchange(kinds, kinds_of_descriptors(children.at(0)));
            return !kinds.empty() && kinds == last && std::ranges::count(kinds, here.document("file")) == 0;
        }));
        return kinds;
    };
    const auto child_before = child_after_a_download();
    const auto parent_before = kinds_of_descriptors(here.httpd().pid());
    ASSERT_GT(parent_before.size(), 3U);
    for (int i = 0; i < 49; ++i)
        here.httpd().graceful_restart();
    EXPECT_EQ(joined(child_after_a_download()), joined(child_before));
    EXPECT_EQ(joined(kinds_of_descriptors(here.httpd().pid())), joined(parent_before));
}

} // namespace
} // namespace dlhandoff::test
