// The service restarts while clients ask over connections that go on: nobody notices.
#include "tests/integration/harness/site.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

/// Clients that ask again and again, a moment after each answer, and try nothing twice: each request must be
/// answered.
class load {
  public:
    load(const site& here, unsigned clients) : here_(here) {
        for (unsigned i = 0; i < clients; ++i)
            threads_.emplace_back([this] { run(); });
    }
    ~load() { (void)stop(); }
    load(const load&) = delete;
    load& operator=(const load&) = delete;

    /// What went wrong, a line for each.
    [[nodiscard]] std::string stop() {
        ended_ = true;
        for (std::thread& each : threads_)
            if (each.joinable())
                each.join();
        return failures_;
    }

    [[nodiscard]] unsigned answered() const { return answered_; }

  private:
    static constexpr auto think_time = 2ms;

    void run() {
        std::optional<raw_client> connection;
        for (int i = 0; !ended_; ++i, std::this_thread::sleep_for(think_time)) {
            const bool is_download = i % 3 != 0;
            const std::string probe = new_probe();
            try {
                if (!connection)
                    connection.emplace(here_.connect());
                connection->send(here_.get_request(is_download ? "/file" : "/ready", probe));
                const std::string head = connection->read_head();
                const std::string expected = is_download ? expected_ : "ready\n";
                const bool right = status_of(head) == 200 && connection->read(expected.size()) == expected;
                if (!right)
                    fail(probe + ": " + (head.empty() ? "no answer" : head));
                else
                    ++answered_;
                if (!right || field_of(head, "Connection") == "close")
                    connection.reset();
            } catch (const std::exception& error) {
                fail(probe + ": " + error.what());
                connection.reset();
            }
        }
    }

    void fail(const std::string& what) {
        const std::lock_guard lock(mutex_);
        failures_ += what + '\n';
    }

    const site& here_;
    const std::string expected_ = sequence_bytes(0, size);
    std::atomic<bool> ended_ = false;
    std::atomic<unsigned> answered_ = 0;
    std::mutex mutex_;
    std::string failures_; ///< guarded by mutex_
    std::vector<std::thread> threads_;
};

class service_restart : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(service_restart, EVERY_SERVICE);

TEST_P(service_restart, fails_no_request) {
    site here({.how = GetParam(), .httpd = {.configuration = "MaxKeepAliveRequests 0\n"}});
    here.add_document("file", size);
    load clients(here, 5);
    const auto wait_for_answers = [&] {
        const unsigned until = clients.answered() + 100;
        ASSERT_TRUE(eventually([&] { return clients.answered() >= until; }, 30s));
    };
    for (int i = 0; i < 5; ++i) {
        const std::size_t claimed = here.httpd().requests_with_note("claimed");
        wait_for_answers();
        EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") > claimed; }, 30s));
        here.manager().signal(SIGTERM);
        ASSERT_TRUE(here.manager().ended(30s));
        wait_for_answers();
        here.manager().start();
    }
    wait_for_answers();
    EXPECT_EQ(clients.stop(), "");
}

TEST_P(service_restart, keeps_idle_connections_until_their_next_requests) {
    site here({.how = GetParam(), .httpd = {.configuration = "KeepAliveTimeout 20s\n"}});
    here.add_document("file", size);
    auto raw = here.connect();
    raw.send(here.get_request("/file", "first"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
    EXPECT_EQ(here.httpd().note_of("first"), "claimed");
    ASSERT_TRUE(here.transfers().transfer("first"));
    here.manager().signal(SIGTERM);
    EXPECT_FALSE(here.manager().ended(100ms));
    raw.send(here.get_request("/file", "second"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read(size) == sequence_bytes(0, size));
    EXPECT_EQ(here.httpd().note_of("second"), "declined:manager-down");
    EXPECT_TRUE(here.manager().ended(10s));
    here.manager().start();
    EXPECT_TRUE(
        eventually([&] { return here.httpd().note_of(here.client().get("/file").probe) == "claimed"; }));
}

} // namespace
} // namespace dlhandoff::test
