// Rates: a client gets its part, however many connections it opens, at the same time or one after another.
#include "tests/integration/limits/limited_site.hpp"

#include <array>
#include <numeric>

namespace dlhandoff::test {
namespace {

TEST(rate_of_all, is_shared_equally_between_clients_and_not_between_connections_alone) {
    constexpr std::size_t clients =
        11; ///< the first of them with a hundred connections, the others with one each
    site here(limited({"event", true}, {}, "KeepAliveTimeout 60\n", "rate = \"8M\"\n"));
    here.add_document("file", 32 << 20);
    struct connection {
        std::size_t client;
        raw_client socket;
    };
    std::vector<connection> all;
    for (std::size_t client = 0; client < clients; ++client)
        for (int i = 0; i < (client == 0 ? 100 : 1); ++i) {
            all.push_back({client, raw_client::connect_from("127.0.0." + std::to_string(client + 2),
                                                            here.httpd().address(), here.httpd().port())});
            all.back().socket.send(here.get_request("/file", new_probe()));
        }
    // All are under way: each has had its first bytes.
    for (const connection& one : all)
        ASSERT_TRUE(one.socket.has_input(20s));
    const auto read_for = [&](std::chrono::milliseconds time) {
        std::array<std::uint64_t, clients> bytes{};
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
            for (connection& one : all)
                bytes[one.client] += one.socket.drop_input();
            std::this_thread::sleep_for(3ms);
        }
        return bytes;
    };
    (void)read_for(2s); // what the kernel had queued, and the first turns
    const auto bytes = read_for(4s);
    const double fair =
        static_cast<double>(std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0})) / clients;
    ASSERT_GT(fair, 0);
    for (std::size_t client = 0; client < clients; ++client)
        EXPECT_NEAR(static_cast<double>(bytes[client]) / fair, 1.0, 0.1) << "client " << client;
    EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") == all.size(); }));
}

class rate_after : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(rate_after, setup{"event"}, setup{"event", true});

/// As browsers fetch a video: a range is broken off, and the next one asked for.
TEST_P(rate_after, gives_its_first_part_once_to_a_client_that_asks_again_and_again) {
    constexpr std::uint64_t first_part = 1 << 20;
    constexpr std::uint64_t at_most = 300'000; ///< of a range
    site here(
        {.how = GetParam(), .httpd = {.processes = 1, .configuration = "DLHandoffRate 10K after 1M\n"}});
    here.add_document("file", 8 << 20);
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t received = 0;
    for (int i = 0; i < 12; ++i) {
        const std::string probe = new_probe();
        raw_client client = here.connect();
        client.send(
            here.get_request("/file", probe, "Range: bytes=" + std::to_string(i * 500'000) + "-\r\n"));
        ASSERT_TRUE(client.has_input(20s));
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        const auto end = std::chrono::steady_clock::now() + 100ms;
        for (std::uint64_t got = 0; got < at_most && std::chrono::steady_clock::now() < end;) {
            (void)client.has_input(5ms);
            const std::uint64_t some = client.drop_input();
            got += some;
            received += some;
        }
        client.reset();
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - began;
    EXPECT_LT(static_cast<double>(received),
              static_cast<double>(first_part + at_most) + 10 * 1024 * time.count());
}

} // namespace
} // namespace dlhandoff::test
