#include "engine/tls/kernel_tls.hpp"
#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/tls/tls_peers.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using nlohmann::json;

const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

struct protection {
    int version;
    const char* suite;
};

offer make_tls_offer(const sample_file& file, const tls_session& session, std::vector<plan_piece> pieces,
                     const reading_terms& reading) {
    const file_identity identity = file.identity();
    if (pieces.empty())
        pieces = {{plan_piece::source::memory, 0, 0, head.size()},
                  {plan_piece::source::file, 0, 0, file.content().size()}};
    request_facts facts;
    facts.method = "GET";
    facts.uri = "/sample";
    auto made = offer::make(facts, {&identity, 1}, pieces, bytes_of(head), &session, {}, {}, reading);
    return std::get<offer>(std::move(made));
}

void offer_to(running_engine& runner, tls_peers& peers, const sample_file& file,
              std::vector<plan_piece> pieces = {}, const reading_terms& reading = {}) {
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(peers.connection.server));
    descriptors.push_back(file.open());
    const tls_session session = peers.session();
    runner.begin(make_tls_offer(file, session, std::move(pieces), reading), std::move(descriptors));
}

json ended(running_engine& runner, tls_peers& peers) {
    peers.connection.client.reset();
    EXPECT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    const auto lines = runner.log_lines();
    EXPECT_EQ(lines.size(), 1U);
    return lines.empty() ? json::object() : json::parse(lines.front());
}

struct tls_suites : testing::TestWithParam<protection> {};

TEST_P(tls_suites, every_byte_arrives_and_close_notify_ends_it) {
    const sample_file file(5'000'000);
    tls_peers peers(GetParam().version, GetParam().suite);
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received == head + file.content());
    const json line = ended(runner, peers);
    EXPECT_EQ(line["outcome"], "complete");
    EXPECT_EQ(line["expected"], head.size() + file.content().size());
    EXPECT_EQ(line["delivered"], line["expected"]);
    const tls_session session = peers.session();
    const bool in_kernel =
        engine::kernel_tls::usable_for(*engine::find_tls_suite(session.version, session.suite));
    EXPECT_TRUE(line["tls"].get<std::string>().ends_with(in_kernel ? " kernel" : " user")) << line["tls"];
}

TEST_P(tls_suites, a_client_that_reads_little_at_a_time_sees_every_byte) {
    const sample_file file(700'000);
    tls_peers peers(GetParam().version, GetParam().suite);
    const int small = 4096; // the socket takes pieces of records
    ::setsockopt(peers.connection.server.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received, 777); }));
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(ended(runner, peers)["outcome"], "complete");
}

INSTANTIATE_TEST_SUITE_P(all, tls_suites,
                         testing::Values(protection{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
                                         protection{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
                                         protection{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384"},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305"}),
                         [](const auto& test) {
                             std::string name = test.param.suite;
                             std::erase_if(name, [](char c) { return c == '-' || c == '_'; });
                             return name;
                         });

TEST(tls_transfer, pieces_from_everywhere_arrive_in_their_order) {
    const sample_file file(2'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    running_engine runner;
    std::vector<plan_piece> pieces;
    std::string expected;
    for (std::uint64_t i = 0; i < 300; ++i) {
        const std::uint64_t offset = i % 3 == 0 ? i * 5000 : i * 17;
        const std::uint64_t length = i % 7 == 0 ? 40'000 : 1 + i % 5;
        pieces.push_back({plan_piece::source::file, 0, offset, length});
        expected += file.content().substr(offset, length);
        if (i % 2 == 0) { // else the next piece may follow this one in the file
            pieces.push_back({plan_piece::source::memory, 0, 0, head.size()});
            expected += head;
        } else {
            pieces.push_back({plan_piece::source::file, 0, offset + length, 3});
            expected += file.content().substr(offset + length, 3);
        }
    }
    offer_to(runner, peers, file, pieces);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received == expected);
    EXPECT_EQ(ended(runner, peers)["outcome"], "complete");
}

TEST(tls_transfer, key_updates_of_the_client_are_followed_and_answered) {
    const sample_file file(5'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    std::size_t next_update = 500'000;
    int updates = 0;
    ASSERT_TRUE(runner.run_until([&] {
        if (received.size() > next_update) {
            next_update += 500'000;
            SSL_key_update(peers.client(),
                           ++updates % 2 != 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
            SSL_do_handshake(peers.client());
        }
        return !peers.read_available(received, 50'000);
    }));
    EXPECT_GE(updates, 5);
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(ended(runner, peers)["outcome"], "complete");
}

TEST(tls_transfer, garbage_from_the_client_ends_the_connection) {
    const sample_file file(20'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    ASSERT_TRUE(
        runner.run_until([&] { return peers.read_available(received, 10'000) && !received.empty(); }));
    const std::string garbage = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
    ASSERT_EQ(::send(peers.connection.client.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(garbage.size()));
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(json::parse(runner.log_lines().front())["outcome"], "error");
}

TEST(tls_transfer, a_file_that_grows_and_is_touched_is_sent_as_it_was_announced) {
    const sample_file file(20'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    ASSERT_TRUE(runner.run_until(
        [&] { return peers.read_available(received, 10'000) && received.size() > 1'000'000; }));
    file.append("x");
    file.touch();
    ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(ended(runner, peers)["outcome"], "complete");
}

/// All of it is written anew, with the size that it had. Whatever the client is sent, no nonce protects two
/// texts: what it gets is records that it can open, and the connection may end, but no record is wrong.
TEST(tls_transfer, a_file_that_is_written_anew_never_yields_a_broken_record) {
    const sample_file file(20'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    const int small = 4096; // the socket takes pieces of records
    ::setsockopt(peers.connection.server.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    running_engine runner;
    offer_to(runner, peers, file);
    std::string received;
    ASSERT_TRUE(
        runner.run_until([&] { return peers.read_available(received, 1'000) && received.size() > 100'000; }));
    const file_descriptor writer(::open(file.path().c_str(), O_WRONLY | O_CLOEXEC));
    const std::string other(file.content().size(), 'x');
    ASSERT_EQ(::pwrite(writer.get(), other.data(), other.size(), 0), static_cast<ssize_t>(other.size()));
    try {
        ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
    } catch (const std::runtime_error& error) { // it was cut, which is as well
        EXPECT_EQ(std::string(error.what()).find("mac"), std::string::npos) << error.what();
    }
    const std::string old = head + file.content(), fresh = std::string(head.size(), ' ') + other;
    for (std::size_t i = 0; i < received.size(); ++i)
        ASSERT_TRUE(received[i] == old[i] || received[i] == fresh[i]) << i;
}

TEST(tls_transfer, a_disk_that_fails_ends_the_connection_with_a_word) {
    MOUNT_FAULTY_DISK(disk);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    std::vector<engine::file_failure> failures;
    engine::engine_options options;
    options.on_file_failure = [&](const engine::file_failure& one) { failures.push_back(one); };
    running_engine runner(options);
    file_descriptor opened(::open((disk / faulty_disk::dying).c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    ASSERT_EQ(::fstat(opened.get(), &status), 0);
    const file_identity identity{status.st_dev, status.st_ino, faulty_disk::file_size, 0};
    const plan_piece whole{plan_piece::source::file, 0, 0, faulty_disk::file_size};
    const tls_session session = peers.session();
    std::vector<file_descriptor> descriptors;
    descriptors.push_back(std::move(peers.connection.server));
    descriptors.push_back(std::move(opened));
    runner.begin(std::get<offer>(offer::make({}, {&identity, 1}, {&whole, 1}, {}, &session)),
                 std::move(descriptors));
    std::string received;
    EXPECT_THROW(static_cast<void>(runner.run_until([&] { return !peers.read_available(received); })),
                 std::runtime_error)
        << "the response must not end with close_notify";
    EXPECT_LE(received.size(), faulty_disk::unreadable_from);
    EXPECT_TRUE(faulty_disk::content().starts_with(received));
    EXPECT_EQ(ended(runner, peers)["outcome"], "error");
    ASSERT_EQ(failures.size(), 1U);
    EXPECT_EQ(failures[0].error, EIO);
}

TEST(tls_transfer, a_file_that_is_changed_under_way_ends_the_connection_if_its_time_counts) {
    const sample_file file(20'000'000);
    tls_peers peers(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    running_engine runner;
    offer_to(runner, peers, file, {}, {.check = file_check::mtime});
    std::string received;
    ASSERT_TRUE(runner.run_until(
        [&] { return peers.read_available(received, 10'000) && received.size() > 1'000'000; }));
    const file_descriptor writer(::open(file.path().c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(writer.get(), "x", 1, 0), 1);
    try {
        ASSERT_TRUE(runner.run_until([&] { return !peers.read_available(received); }));
        FAIL() << "the response must not end with close_notify";
    } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::string(error.what()).find("mac"), std::string::npos) << error.what();
    }
    EXPECT_TRUE((head + file.content()).starts_with(received));
    EXPECT_EQ(ended(runner, peers)["outcome"], "file-changed");
}

} // namespace
} // namespace dlhandoff::test
