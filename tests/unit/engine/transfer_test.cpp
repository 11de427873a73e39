#include "engine/transfer.hpp"
#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/download.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::transfer;
using nlohmann::json;

/// Descriptors that this process has open (and one that counts them).
std::size_t open_descriptors() {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";

/// One client, one engine.
struct transfer_test : testing::Test {
    void offer_to(running_engine& runner, const sample_file& file, std::vector<plan_piece> pieces = {},
                  const reading_terms& reading = {}) {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(file.open());
        runner.begin(make_offer(head, file, std::move(pieces), {}, reading), std::move(descriptors));
    }

    /// It is mid-way: sent in part, and no more before the client reads on.
    [[nodiscard]] bool receive_a_part(running_engine& runner) {
        return runner.run_until([&] {
            read_available(connection.client.get(), received, 100'000);
            return received.size() >= 1'000'000;
        });
    }

    /// The client reads until the end and closes; the transfer's log line.
    json receive_all(running_engine& runner) {
        EXPECT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
        connection.client.reset();
        return ended(runner);
    }

    json ended(running_engine& runner) {
        EXPECT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
        const auto lines = runner.log_lines();
        EXPECT_EQ(lines.size(), 1U);
        return lines.empty() ? json::object() : json::parse(lines.front());
    }

    tcp_pair connection;
    std::string received;
};

class transfer_sizes : public transfer_test, public testing::WithParamInterface<std::size_t> {};

TEST_P(transfer_sizes, every_byte_arrives_in_order) {
    const sample_file file(GetParam());
    running_engine runner;
    offer_to(runner, file);
    const json line = receive_all(runner);
    EXPECT_TRUE(received == head + file.content());
    EXPECT_EQ(line["outcome"], "complete");
    EXPECT_EQ(line["expected"], head.size() + file.content().size());
    EXPECT_EQ(line["sent"], line["expected"]);
    EXPECT_EQ(line["delivered"], line["expected"]);
    EXPECT_EQ(line["file_bytes"], file.content().size());
}

INSTANTIATE_TEST_SUITE_P(sizes, transfer_sizes,
                         testing::Values(1, 4095, 65535, 65536, 65537, 512 * 1024, 512 * 1024 + 1,
                                         20'000'000));

TEST_F(transfer_test, memory_and_file_pieces_alternate) {
    const sample_file file(300'000);
    std::vector<plan_piece> pieces;
    std::string expected;
    for (std::uint64_t i = 0; i < 50; ++i) {
        pieces.push_back({plan_piece::source::memory, 0, i % 7, 5});
        expected += head.substr(i % 7, 5);
        pieces.push_back({plan_piece::source::file, 0, 299'000 - i * 5000, 1000 - i});
        expected += file.content().substr(299'000 - i * 5000, 1000 - i);
    }
    running_engine runner;
    offer_to(runner, file, pieces);
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == expected);
}

TEST_F(transfer_test, a_cold_file_is_read_ahead) {
    const sample_file file(3'000'000);
    const file_descriptor opened = file.open();
    ASSERT_EQ(::posix_fadvise(opened.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    running_engine runner;
    offer_to(runner, file);
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_leaves_is_client_closed_with_what_it_took) {
    const sample_file file(20'000'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 100'000);
        return received.size() >= 1'000'000;
    }));
    connection.client.reset();
    const json line = ended(runner);
    EXPECT_EQ(line["outcome"], "client-closed");
    EXPECT_GE(line["delivered"], received.size());
    EXPECT_LE(line["delivered"], line["sent"]);
    EXPECT_LT(line["sent"], line["expected"]);
}

TEST_F(transfer_test, a_file_that_is_shortened_ends_the_connection_with_a_reset) {
    const sample_file file(20'000'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 100'000);
        return received.size() >= 1'000'000;
    }));
    ASSERT_EQ(::truncate(file.path().c_str(), 10'000'000), 0);
    const json line = receive_all(runner);
    EXPECT_EQ(line["outcome"], "file-changed");
    EXPECT_LT(received.size(), head.size() + file.content().size());
    EXPECT_TRUE((head + file.content()).starts_with(received));
}

TEST_F(transfer_test, a_file_that_is_written_to_ends_the_connection_if_its_time_counts) {
    const sample_file file(20'000'000);
    running_engine runner;
    offer_to(runner, file, {}, {.check = file_check::mtime});
    ASSERT_TRUE(receive_a_part(runner));
    const file_descriptor writer(::open(file.path().c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(writer.get(), "x", 1, 19'000'000), 1);
    EXPECT_EQ(receive_all(runner)["outcome"], "file-changed");
    EXPECT_TRUE((head + file.content()).starts_with(received));
}

TEST_F(transfer_test, a_file_that_grows_is_sent_as_it_was_announced) {
    for (const file_check check : {file_check::size, file_check::mtime}) {
        const sample_file file(20'000'000);
        running_engine runner;
        connection = tcp_pair();
        received.clear();
        offer_to(runner, file, {}, {.check = check});
        ASSERT_TRUE(receive_a_part(runner));
        file.append("x");
        EXPECT_EQ(receive_all(runner)["outcome"], "complete");
        EXPECT_TRUE(received == head + file.content());
    }
}

TEST_F(transfer_test, a_touched_file_is_sent_to_its_end) {
    const sample_file file(20'000'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(receive_a_part(runner));
    file.touch();
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_file_is_sent_without_sendfile) {
    const sample_file file(5'000'000);
    running_engine runner;
    offer_to(runner, file, {}, {.use_sendfile = false});
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

/// A disk that dies behind a file's sixth tenth ends that file's download, and no other.
TEST_F(transfer_test, a_disk_that_fails_ends_its_downloads_with_a_reset_and_a_word) {
    MOUNT_FAULTY_DISK(disk);
    for (const bool use_sendfile : {true, false}) {
        std::vector<engine::file_failure> failures;
        engine::engine_options options;
        options.on_file_failure = [&](const engine::file_failure& one) { failures.push_back(one); };
        running_engine runner(options);
        connection = tcp_pair();
        received.clear();
        const std::string path = disk / faulty_disk::dying;
        file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat status {};
        ASSERT_EQ(::fstat(opened.get(), &status), 0);
        const file_identity identity{status.st_dev, status.st_ino, faulty_disk::file_size,
                                     status.st_mtim.tv_sec * 1'000'000'000};
        const std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, head.size()},
                                             {plan_piece::source::file, 0, 0, faulty_disk::file_size}};
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection.server));
        descriptors.push_back(std::move(opened));
        runner.begin(std::get<offer>(offer::make({}, {&identity, 1}, pieces, bytes_of(head), nullptr, {}, {},
                                                 {file_check::size, use_sendfile})),
                     std::move(descriptors));
        tcp_pair other_client;
        const sample_file sound(20'000'000);
        std::vector<file_descriptor> others;
        others.push_back(std::move(other_client.server));
        others.push_back(sound.open());
        runner.begin(make_offer(head, sound), std::move(others));

        ASSERT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
        EXPECT_EQ(errno, ECONNRESET);
        EXPECT_LE(received.size(), head.size() + faulty_disk::unreadable_from);
        EXPECT_TRUE((head + faulty_disk::content()).starts_with(received));
        ASSERT_TRUE(runner.run_until([&] { return runner.log_lines().size() == 1; }));
        EXPECT_EQ(json::parse(runner.log_lines().front())["outcome"], "error");
        ASSERT_EQ(failures.size(), 1U);
        EXPECT_EQ(failures[0].error, EIO);
        EXPECT_EQ(failures[0].path, path);

        std::string all;
        ASSERT_TRUE(runner.run_until([&] { return !read_available(other_client.client.get(), all); }));
        EXPECT_TRUE(all == head + sound.content());
    }
}

TEST_F(transfer_test, an_unlinked_file_is_sent_to_its_end) {
    const sample_file file(5'000'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_EQ(::unlink(file.path().c_str()), 0);
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_takes_nothing_stalls) {
    const sample_file file(5'000'000);
    engine::engine_options options;
    options.limits.classes[0].own.stall_timeout = std::chrono::milliseconds(100);
    running_engine runner(options);
    offer_to(runner, file);
    const json line = ended(runner);
    EXPECT_EQ(line["outcome"], "stalled");
    EXPECT_GE(line["duration_ms"], 100);
}

TEST_F(transfer_test, a_slow_client_does_not_stall) {
    const sample_file file(400'000);
    engine::engine_options options;
    options.limits.classes[0].own.stall_timeout = std::chrono::milliseconds(250);
    running_engine runner(options);
    offer_to(runner, file);
    auto next_read = engine::clock::now();
    // Four times the time-out in all, in steps well below it.
    ASSERT_TRUE(runner.run_until([&] {
        if (const auto now = engine::clock::now(); now >= next_read) {
            next_read = now + std::chrono::milliseconds(25);
            return !read_available(connection.client.get(), received, 10'000);
        }
        return false;
    }));
    connection.client.reset();
    EXPECT_EQ(ended(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_stays_open_is_closed_after_lingering) {
    const sample_file file(1000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
    const auto closed_by_us = engine::clock::now();
    EXPECT_EQ(ended(runner)["outcome"], "complete");
    EXPECT_GE(engine::clock::now() - closed_by_us, std::chrono::milliseconds(1500));
}

TEST_F(transfer_test, input_that_nobody_asked_for_does_not_cut_the_end_off) {
    const sample_file file(2'000'000);
    running_engine runner;
    offer_to(runner, file);
    const std::string more(50'000, 'p');
    ASSERT_GT(::send(connection.client.get(), more.data(), more.size(), MSG_DONTWAIT | MSG_NOSIGNAL), 0);
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_uploads_all_before_it_reads_gets_everything) {
    // More than either direction's buffers hold.
    const sample_file file(4'000'000);
    const std::string upload(32'000'000, 'u');
    running_engine runner;
    offer_to(runner, file);
    std::size_t sent = 0;
    ASSERT_TRUE(runner.run_until(
        [&] {
            const ssize_t taken = ::send(connection.client.get(), upload.data() + sent, upload.size() - sent,
                                         MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += static_cast<std::size_t>(std::max<ssize_t>(taken, 0));
            return sent == upload.size();
        },
        std::chrono::seconds(30)))
        << "sent " << sent;
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_uploads_for_long_after_the_response_is_not_reset) {
    const sample_file file(1000);
    running_engine runner;
    offer_to(runner, file);
    const auto until = engine::clock::now() + transfer::linger + std::chrono::seconds(1);
    auto next_piece = engine::clock::now();
    ASSERT_TRUE(runner.run_until([&] {
        const auto now = engine::clock::now();
        if (now >= next_piece) {
            next_piece = now + std::chrono::milliseconds(20);
            EXPECT_EQ(::send(connection.client.get(), "upload", 6, MSG_NOSIGNAL), 6);
        }
        return now >= until;
    }));
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_closes_its_half_first_gets_everything) {
    const sample_file file(2'000'000);
    running_engine runner;
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    offer_to(runner, file);
    EXPECT_EQ(receive_all(runner)["outcome"], "complete");
    EXPECT_TRUE(received == head + file.content());
}

TEST_F(transfer_test, a_client_that_resets_after_its_end_of_file_is_not_waited_for) {
    const sample_file file(200'000);
    running_engine runner;
    const int server = connection.server.get();
    ASSERT_EQ(::shutdown(connection.client.get(), SHUT_WR), 0);
    offer_to(runner, file);
    // All is with the kernel, and more than the client has room for.
    ASSERT_TRUE(runner.run_until([&] {
        tcp_info info{};
        socklen_t size = sizeof info;
        return ::getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
               info.tcpi_state == TCP_LAST_ACK;
    }));
    connection.client.reset();
    const json line = ended(runner);
    EXPECT_EQ(line["outcome"], "client-closed");
    EXPECT_LT(line["delivered"], line["sent"]);
}

TEST_F(transfer_test, what_was_written_before_the_handoff_does_not_count_as_delivered) {
    const sample_file file(5'000'000);
    const std::string before(30'000, 'b');
    ASSERT_EQ(::send(connection.server.get(), before.data(), before.size(), 0), 30'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 10'000);
        return received.size() >= 30'000;
    }));
    runner.engine.end_all(engine::outcome::shutdown);
    const json line = ended(runner);
    EXPECT_EQ(line["outcome"], "shutdown");
    EXPECT_LE(line["delivered"], line["sent"]);
    EXPECT_LT(line["delivered"], 1'000'000);
}

TEST_F(transfer_test, ending_all_resets_what_is_under_way) {
    const sample_file file(20'000'000);
    running_engine runner;
    offer_to(runner, file);
    ASSERT_TRUE(runner.run_until([&] {
        read_available(connection.client.get(), received, 100'000);
        return !received.empty();
    }));
    runner.engine.end_all(engine::outcome::shutdown);
    EXPECT_EQ(runner.engine.active(), 0U);
    ASSERT_TRUE(runner.run_until([&] { return !read_available(connection.client.get(), received); }));
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_TRUE((head + file.content()).starts_with(received));
}

TEST_F(transfer_test, many_clients_share_one_descriptor_of_the_file) {
    const sample_file file(1'000'000);
    running_engine runner;
    std::vector<tcp_pair> clients(100);
    const std::size_t open_before = open_descriptors();
    for (tcp_pair& one : clients) {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(one.server));
        descriptors.push_back(file.open());
        runner.begin(make_offer(head, file), std::move(descriptors));
    }
    EXPECT_EQ(open_descriptors(), open_before + 1);
    std::vector<std::string> got(clients.size());
    ASSERT_TRUE(runner.run_until([&] {
        bool all = true;
        for (std::size_t i = 0; i < clients.size(); ++i)
            if (clients[i].client && !read_available(clients[i].client.get(), got[i]))
                clients[i].client.reset();
            else if (clients[i].client)
                all = false;
        return all;
    }));
    ASSERT_TRUE(runner.run_until([&] { return runner.engine.active() == 0; }));
    for (const std::string& one : got)
        EXPECT_TRUE(one == head + file.content());
    EXPECT_EQ(runner.log_lines().size(), clients.size());
    // Each client had two ends; the file's descriptor has gone with its last transfer.
    EXPECT_EQ(open_descriptors(), open_before - 2 * clients.size());
}

} // namespace
} // namespace dlhandoff::test
