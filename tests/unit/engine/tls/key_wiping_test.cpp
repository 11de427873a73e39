// What is left of a connection's keys in this process's memory when its transfer has ended: nothing.
#include "engine/tls/tls_suite.hpp"
#include "engine/tls/traffic_key.hpp"
#include "tests/unit/engine/download.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sstream>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_can_be_searched = false; // terabytes of a sanitizer's own
#else
constexpr bool memory_can_be_searched = true;
#endif

constexpr std::uint8_t mask = 0xa5;

/// A secret that this object itself doesn't have in the clear.
class needle {
  public:
    explicit needle(std::span<const std::uint8_t> secret) : masked_(secret.begin(), secret.end()) {
        for (std::uint8_t& byte : masked_)
            byte ^= mask;
    }
    [[nodiscard]] std::size_t count_in(std::span<const std::uint8_t> hay) const {
        const auto same = [](std::uint8_t there, std::uint8_t masked) {
            return static_cast<std::uint8_t>(there ^ mask) == masked;
        };
        std::size_t count = 0;
        for (auto at = hay.begin();; ++at, ++count) {
            at = std::search(at, hay.end(), masked_.begin(), masked_.end(), same);
            if (at == hay.end())
                return count;
        }
    }

  private:
    std::vector<std::uint8_t> masked_;
};

/// Occurrences in all that this process may write, less the buffer that it is read into.
std::size_t count_in_memory(const needle& secret) {
    std::ifstream maps("/proc/self/maps");
    const file_descriptor memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    std::size_t count = 0;
    std::vector<std::uint8_t> copy;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        std::string rights;
        words >> std::hex >> begin >> dash >> end >> rights;
        if (!rights.starts_with("rw"))
            continue;
        copy.assign(end - begin, 0);
        const ssize_t got = ::pread(memory.get(), copy.data(), copy.size(), static_cast<off_t>(begin));
        if (got > 0)
            count += secret.count_in({copy.data(), static_cast<std::size_t>(got)});
        std::ranges::fill(copy, 0);
    }
    return count;
}

TEST(key_wiping, nothing_is_left_of_a_transfers_keys) {
    if (!memory_can_be_searched)
        GTEST_SKIP() << "not under a sanitizer";
    const sample_file file(2'000'000);
    running_engine runner;
    tcp_pair connection;
    std::vector<needle> needles;
    {
        tls_session session;
        session.version = engine::tls13;
        session.suite = 0x1302;
        std::random_device random;
        for (auto* secret : {&session.write_secret, &session.read_secret}) {
            std::ranges::generate(*secret, [&] { return static_cast<std::uint8_t>(random()); });
            needles.emplace_back(*secret);
            const engine::traffic_key key(*engine::find_tls_suite(session.version, session.suite), *secret,
                                          0);
            needles.emplace_back(key.key());
        }
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
        const file_identity identity = file.identity();
        const plan_piece whole{plan_piece::source::file, 0, 0, file.content().size()};
        auto made = offer::make({}, {&identity, 1}, {&whole, 1}, {}, &session);
        runner.begin(std::get<offer>(std::move(made)), std::move(descriptors));
        ::explicit_bzero(&session, sizeof session);
    }
    std::string sealed;
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), sealed, 50'000);
        return sealed.size() > 200'000;
    }));
    for (const needle& one : needles)
        EXPECT_GT(count_in_memory(one), 0U); // or the search proves nothing
    ASSERT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), sealed); }));
    connection.client.reset();
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    for (const needle& one : needles)
        EXPECT_EQ(count_in_memory(one), 0U);
}

} // namespace
} // namespace dlhandoff::test
