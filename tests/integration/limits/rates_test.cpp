// A rate that all downloads share: each client gets its part, however many connections it has opened.
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

} // namespace
} // namespace dlhandoff::test
