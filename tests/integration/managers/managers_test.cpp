// A service with several managers that die and hang under httpd: no request fails that none of them had
// claimed.
#include "tests/integration/harness/site.hpp"

#include <atomic>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

class managers : public ::testing::TestWithParam<setup> {
  protected:
    static site_options options(const setup& how) {
        return {.how = how,
                .httpd = {.configuration = "DLHandoffClaimTimeout 1s\n"},
                .managers = {.managers = 2, .max_managers = 2}};
    }
    static void expect_handed_off_soon(site& here) {
        auto client = here.client();
        EXPECT_TRUE(eventually([&] {
            const auto response = client.get("/file");
            return response.body_bytes == size && here.httpd().note_of(response.probe) == "claimed";
        }));
    }
};
INSTANTIATE_FOR_SETUPS(managers, setup{"prefork", true}, setup{"event", true});

TEST_P(managers, that_are_killed_cost_only_what_they_had_claimed_alone) {
    constexpr unsigned clients = 4;
    constexpr unsigned kills = 15;
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    site here(options(GetParam()));
    here.add_document("file", size);
    const std::string expected = sequence_bytes(0, size);
    std::atomic<bool> done = false;
    std::atomic<unsigned> right = 0;
    std::mutex mutex;
    std::vector<std::string> cut; ///< probes
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < clients; ++i)
        threads.emplace_back([&] {
            while (!done) {
                const std::string probe = new_probe();
                auto raw = here.connect();
                raw.send(here.get_request("/file", probe, "Connection: close\r\n"));
                const std::string all = raw.read_to_end();
                const auto head = all.find("\r\n\r\n");
                if (head != std::string::npos && all.compare(head + 4, std::string::npos, expected) == 0) {
                    ++right;
                    continue;
                }
                const std::lock_guard lock(mutex);
                cut.push_back(probe);
            }
        });
    std::minstd_rand random(seed);
    for (unsigned i = 0; i < kills; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 100));
        const auto all = here.manager().managers();
        if (!all.empty())
            ::kill(all[random() % all.size()], SIGKILL);
    }
    expect_handed_off_soon(here);
    done = true;
    for (std::thread& one : threads)
        one.join();
    EXPECT_GT(right, 0U);
    for (const std::string& probe : cut)
        EXPECT_EQ(here.httpd().note_of(probe), "claimed") << "cut, though no manager had it";
    EXPECT_TRUE(eventually([&] { return here.manager().managers().size() == 2; }));
}

TEST_P(managers, one_that_hangs_leaves_the_downloads_to_the_other_alone) {
    site here(options(GetParam()));
    here.add_document("file", size);
    expect_handed_off_soon(here);
    const auto all = here.manager().managers();
    ASSERT_EQ(all.size(), 2U);
    stop_process(all.front());
    auto client = here.client();
    for (int i = 0; i < 20; ++i) {
        const auto response = client.get("/file");
        EXPECT_EQ(response.body_bytes, size);
        EXPECT_LT(response.duration, 2s) << i;
    }
    expect_handed_off_soon(here);
    ::kill(all.front(), SIGCONT);
    expect_handed_off_soon(here);
}

TEST_P(managers, of_a_killed_supervisor_are_followed_by_those_of_the_next_alone) {
    site here(options(GetParam()));
    here.add_document("file", size);
    expect_handed_off_soon(here);
    here.manager().kill_supervisor();
    auto client = here.client();
    const auto response = client.get("/file");
    here.expect_served(response, "file");
    here.manager().start();
    EXPECT_TRUE(eventually([&] {
        const auto one = client.get("/file");
        return here.httpd().note_of(one.probe) == "claimed";
    }));
}

} // namespace
} // namespace dlhandoff::test
