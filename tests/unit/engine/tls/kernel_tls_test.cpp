#include "engine/tls/kernel_tls.hpp"

#include "engine/client/kernel_tls_channel.hpp"
#include "engine/client/sealed_channel.hpp"
#include "engine/tls/kernel_tls_trial.hpp"
#include "tests/unit/engine/tls/tls_peers.hpp"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/tls.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::kernel_tls;
using engine::kernel_tls_channel;
using nlohmann::json;

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(kernel_tls, a_socket_whose_kernel_takes_no_key_still_sends_plain_bytes) {
    const tcp_pair pair;
    const int socket = pair.server.get();
    // The protocol alone, where the kernel has it; then start() can't have it a second time.
    ::setsockopt(socket, IPPROTO_TCP, TCP_ULP, "tls", 3);
    const tls_crypto_info nonsense{0, 0};
    ASSERT_NE(::setsockopt(socket, SOL_TLS, TLS_TX, &nonsense, sizeof nonsense), 0);
    const std::array<std::uint8_t, 48> secret{1, 2, 3};
    const engine::traffic_key key(*engine::find_tls_suite(engine::tls13, 0x1301), secret, 0);
    EXPECT_FALSE(kernel_tls::start(socket, key));
    ASSERT_EQ(::send(socket, "plain", 5, MSG_NOSIGNAL), 5);
    char got[6]{};
    EXPECT_EQ(::recv(pair.client.get(), got, 5, MSG_WAITALL), 5);
    EXPECT_STREQ(got, "plain");
}

TEST(kernel_tls, a_trial_leaves_nothing_open) {
    const engine::tls_suite& suite = *engine::find_tls_suite(engine::tls12, 0xc030);
    const std::size_t before = open_descriptors();
    const bool verdict = engine::kernel_seals_as_we_do(suite);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(kernel_tls::usable_for(suite), verdict);
}

struct protection {
    int version;
    const char* suite;
    std::uint16_t number; ///< IANA's
};

struct kernel_tls_suites : testing::TestWithParam<protection> {
    void SetUp() override {
        const auto version = static_cast<std::uint16_t>(GetParam().version);
        if (!kernel_tls::usable_for(*engine::find_tls_suite(version, GetParam().number)))
            GTEST_SKIP() << "this kernel's TLS is not there (module tls), or older than Linux 6.14";
        file = std::make_unique<sample_file>(3'000'000);
        peers = std::make_unique<tls_peers>(GetParam().version, GetParam().suite);
        SSL_set_msg_callback(peers->client(), note_key_update);
        SSL_set_msg_callback_arg(peers->client(), &key_updates);
    }

    static void note_key_update(int write, int, int type, const void* data, std::size_t, SSL*, void* count) {
        if (write == 0 && type == SSL3_RT_HANDSHAKE &&
            *static_cast<const std::uint8_t*>(data) == SSL3_MT_KEY_UPDATE)
            ++*static_cast<int*>(count);
    }

    void offer_to(running_engine& runner, std::vector<plan_piece> pieces, const reading_terms& reading = {}) {
        const file_identity identity = file->identity();
        const tls_session session = peers->session();
        request_facts facts;
        facts.method = "GET";
        facts.uri = "/sample";
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(peers->connection.server));
        descriptors.push_back(file->open());
        runner.begin(std::get<offer>(offer::make(facts, {&identity, 1}, pieces, bytes_of(text), &session, {},
                                                 {}, reading)),
                     std::move(descriptors));
    }

    [[nodiscard]] std::string content_of(const std::vector<plan_piece>& pieces) const {
        std::string whole;
        for (const plan_piece& piece : pieces)
            whole += (piece.from == plan_piece::source::memory ? text : file->content())
                         .substr(piece.offset, piece.length);
        return whole;
    }

    [[nodiscard]] std::vector<plan_piece> head_and_file() const {
        return {{plan_piece::source::memory, 0, 0, text.size()},
                {plan_piece::source::file, 0, 0, file->content().size()}};
    }

    json ended(running_engine& runner) {
        peers->connection.client.reset();
        EXPECT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
        const auto lines = runner.log_lines();
        EXPECT_EQ(lines.size(), 1U);
        return lines.empty() ? json::object() : json::parse(lines.front());
    }

    void expect_complete(running_engine& runner) {
        const json line = ended(runner);
        EXPECT_EQ(line["outcome"], "complete");
        EXPECT_EQ(line["delivered"], line["expected"]);
        EXPECT_TRUE(line["tls"].get<std::string>().ends_with(" kernel")) << line["tls"];
    }

    const std::string text = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\n\r\n";
    std::unique_ptr<sample_file> file;
    std::unique_ptr<tls_peers> peers;
    int key_updates = 0;
};

TEST_P(kernel_tls_suites, pieces_of_memory_and_file_arrive_in_their_order) {
    std::vector<plan_piece> pieces = head_and_file();
    for (std::uint64_t i = 0; i < 60; ++i) {
        pieces.push_back({plan_piece::source::memory, 0, i % 20, 1 + i % 11});
        pieces.push_back({plan_piece::source::file, 0, 4095 * i, 1 + 37 * i * i % 9000});
    }
    pieces.push_back({plan_piece::source::memory, 0, 3, 20});
    running_engine runner;
    offer_to(runner, pieces);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers->read_available(received); }));
    EXPECT_TRUE(received == content_of(pieces));
    expect_complete(runner);
}

TEST_P(kernel_tls_suites, a_socket_that_takes_pieces_of_records_loses_nothing_of_the_end) {
    const int small = 4096;
    ::setsockopt(peers->connection.server.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, text.size()},
                                         {plan_piece::source::file, 0, 5, 400'001}};
    running_engine runner;
    offer_to(runner, pieces);
    std::string received;
    ASSERT_TRUE(runner.run_until([&] { return !peers->read_available(received, 3000); }));
    EXPECT_TRUE(received == content_of(pieces));
    expect_complete(runner);
}

TEST_P(kernel_tls_suites, what_the_client_says_meanwhile_is_read) {
    running_engine runner;
    offer_to(runner, head_and_file());
    std::string received;
    std::size_t next = 100'000;
    ASSERT_TRUE(runner.run_until([&] {
        if (received.size() > next) {
            next += 500'000;
            EXPECT_EQ(SSL_write(peers->client(), "GET / HTTP/1.1\r\n", 16), 16);
        }
        return !peers->read_available(received, 50'000);
    }));
    EXPECT_TRUE(received == content_of(head_and_file()));
    expect_complete(runner);
}

TEST_P(kernel_tls_suites, garbage_from_the_client_ends_the_connection) {
    running_engine runner;
    offer_to(runner, head_and_file());
    std::string received;
    ASSERT_TRUE(
        runner.run_until([&] { return peers->read_available(received, 10'000) && !received.empty(); }));
    const std::string garbage = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
    ASSERT_EQ(::send(peers->connection.client.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 37);
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    EXPECT_EQ(json::parse(runner.log_lines().front())["outcome"], "error");
}

TEST_P(kernel_tls_suites, a_file_that_grows_is_sent_as_it_was_announced_with_sendfile_or_without) {
    for (const bool use_sendfile : {true, false}) {
        peers = std::make_unique<tls_peers>(GetParam().version, GetParam().suite);
        running_engine runner;
        const auto pieces = head_and_file();
        const std::string expected = content_of(pieces);
        offer_to(runner, pieces, {file_check::size, use_sendfile});
        std::string received;
        ASSERT_TRUE(runner.run_until(
            [&] { return peers->read_available(received, 10'000) && received.size() > 500'000; }));
        file->append("x");
        ASSERT_TRUE(runner.run_until([&] { return !peers->read_available(received); }));
        EXPECT_TRUE(received == expected);
        EXPECT_EQ(ended(runner)["outcome"], "complete");
    }
}

TEST_P(kernel_tls_suites, a_file_that_is_changed_under_way_ends_the_connection_if_its_time_counts) {
    running_engine runner;
    offer_to(runner, head_and_file(), {file_check::mtime, true});
    std::string received;
    ASSERT_TRUE(runner.run_until(
        [&] { return peers->read_available(received, 10'000) && received.size() > 500'000; }));
    const file_descriptor writer(::open(file->path().c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(writer.get(), "x", 1, 0), 1);
    try {
        ASSERT_TRUE(runner.run_until([&] { return !peers->read_available(received); }));
        FAIL() << "the response must not end with close_notify";
    } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::string(error.what()).find("mac"), std::string::npos) << error.what();
    }
    EXPECT_TRUE(content_of(head_and_file()).starts_with(received));
    EXPECT_EQ(ended(runner)["outcome"], "file-changed");
}

TEST_P(kernel_tls_suites, bytes_on_the_wire_are_counted_exactly) {
    const int socket = peers->connection.server.get();
    const int client = peers->connection.client.get();
    std::array<char, 65536> wire{};
    while (::recv(client, wire.data(), wire.size(), MSG_DONTWAIT) > 0) // TLS 1.3's session tickets
        ;
    engine::sealed_channel sealed(peers->session());
    const auto kernel_sealed = sealed.start(socket);
    ASSERT_TRUE(kernel_sealed);
    auto& channel = dynamic_cast<kernel_tls_channel&>(*kernel_sealed);
    std::string sent;
    for (const std::size_t size : {1U, 100U, 16384U, 20'000U, 7U}) {
        ASSERT_EQ(::send(socket, file->content().data(), size, MSG_NOSIGNAL | (size == 100 ? MSG_MORE : 0)),
                  static_cast<ssize_t>(size));
        sent += file->content().substr(0, size);
    }
    channel.finish();
    ASSERT_EQ(channel.send_control(socket), engine::write_step::sent);
    EXPECT_TRUE(channel.finished());
    const std::uint64_t counted = channel.wire_bytes(socket, sent.size());
    ASSERT_EQ(::shutdown(socket, SHUT_WR), 0);
    std::uint64_t arrived = 0;
    ASSERT_EQ(::fcntl(client, F_SETFL, 0), 0);
    while (const ssize_t got = ::recv(client, wire.data(), wire.size(), 0)) {
        ASSERT_GT(got, 0);
        arrived += static_cast<std::uint64_t>(got);
    }
    EXPECT_EQ(counted, arrived);
}

TEST_P(kernel_tls_suites, a_worn_key_is_changed) {
    const int socket = peers->connection.server.get();
    engine::sealed_channel sealed(peers->session());
    const auto kernel_sealed = sealed.start(socket);
    ASSERT_TRUE(kernel_sealed);
    auto& channel = dynamic_cast<kernel_tls_channel&>(*kernel_sealed);
    channel.limit_records(40);
    std::string received;
    std::size_t sent = 0;
    while (sent < file->content().size()) {
        channel.watch_key(socket, 8);
        while (channel.send_control(socket) == engine::write_step::would_block)
            ASSERT_TRUE(peers->read_available(received));
        const ssize_t taken = ::send(socket, file->content().data() + sent,
                                     std::min<std::size_t>(100'000, file->content().size() - sent),
                                     MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken > 0)
            sent += static_cast<std::size_t>(taken);
        ASSERT_TRUE(peers->read_available(received));
    }
    while (received.size() < sent)
        ASSERT_TRUE(peers->read_available(received));
    EXPECT_TRUE(received == file->content());
    // TLS 1.2 has no KeyUpdate.
    if (GetParam().version == TLS1_3_VERSION)
        EXPECT_GE(key_updates, 3);
    else
        EXPECT_EQ(key_updates, 0);
}

INSTANTIATE_TEST_SUITE_P(all, kernel_tls_suites,
                         testing::Values(protection{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", 0x1301},
                                         protection{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", 0x1302},
                                         protection{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", 0x1303},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", 0xc02f},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", 0xc030},
                                         protection{TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", 0xcca8}),
                         [](const auto& test) {
                             std::string name = test.param.suite;
                             std::erase_if(name, [](char c) { return c == '-' || c == '_'; });
                             return name;
                         });

struct kernel_tls_updates : kernel_tls_suites {};

TEST_P(kernel_tls_updates, key_updates_of_the_client_are_answered) {
    running_engine runner;
    offer_to(runner, head_and_file());
    std::string received;
    std::size_t next = 200'000;
    int asked = 0;
    int told = 0;
    ASSERT_TRUE(runner.run_until([&] {
        if (received.size() > next) {
            next += 500'000;
            const bool ask = told >= asked;
            ++(ask ? asked : told);
            SSL_key_update(peers->client(), ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
            SSL_do_handshake(peers->client());
        }
        return !peers->read_available(received, 50'000);
    }));
    EXPECT_GE(asked, 2);
    EXPECT_EQ(key_updates, asked);
    EXPECT_TRUE(received == content_of(head_and_file()));
    expect_complete(runner);
}

INSTANTIATE_TEST_SUITE_P(tls13, kernel_tls_updates,
                         testing::Values(protection{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", 0x1301},
                                         protection{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", 0x1302},
                                         protection{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", 0x1303}),
                         [](const auto& test) {
                             std::string name = test.param.suite;
                             std::erase_if(name, [](char c) { return c == '_'; });
                             return name;
                         });

} // namespace
} // namespace dlhandoff::test
