// What clients do to a TLS connection while a download goes over it.
#include "tests/integration/harness/site.hpp"
#include "tests/integration/harness/tls_client.hpp"

#include <filesystem>
#include <fstream>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;
constexpr std::uint64_t large = 12 * megabyte;

/// A download that is mid-way: the client's buffers hold only a small part of it.
class https_connection : public ::testing::TestWithParam<setup> {
  protected:
    void begin(tls_client_options options = {}, const std::string& path = "/file") {
        here_.add_document("file", large);
        options.receive_buffer = small_receive_buffer;
        client_.emplace(here_.httpd().address(), https_port, options);
        client_->send(here_.get_request(path, "mid-way"));
        EXPECT_EQ(status_of(client_->read_head()), 200);
        received_ = client_->read(megabyte);
        EXPECT_EQ(here_.httpd().note_of("mid-way"), "claimed");
        EXPECT_FALSE(here_.transfers().transfer("mid-way", 0ms)) << "not mid-way";
    }

    void read_more(std::size_t count) { received_ += client_->read(count); }

    void expect_all() {
        received_ += client_->read_to_end();
        EXPECT_TRUE(received_ == sequence_bytes(0, large)) << received_.size();
        EXPECT_TRUE(client_->ended_cleanly());
        client_.reset();
        expect_outcome("complete");
    }

    void expect_outcome(const std::string& outcome) {
        const auto transfer = here_.transfers().transfer("mid-way");
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), outcome);
    }

    /// The response must not pass for whole, and nothing wrong may be in it.
    void expect_cut() {
        received_ += client_->read_to_end();
        EXPECT_LT(received_.size(), large);
        EXPECT_TRUE(received_ == sequence_bytes(0, received_.size()));
        EXPECT_FALSE(client_->ended_cleanly());
        expect_outcome("file-changed");
    }

    site here_{{.how = GetParam(),
                .https = "SSLProtocol all\n"
                         "<If \"%{QUERY_STRING} == 'timed'\">\nDLHandoffFileCheck mtime\n</If>\n"}};
    std::optional<tls_client> client_;
    std::string received_;
};
INSTANTIATE_FOR_SETUPS(https_connection, EVERY_SETUP);

TEST_P(https_connection, keys_are_updated_in_mid_download) {
    begin();
    for (int i = 0; i < 3; ++i) {
        client_->update_keys(true);
        read_more(megabyte);
        client_->update_keys(false);
        read_more(megabyte);
    }
    expect_all();
}

TEST_P(https_connection, a_file_that_grows_is_sent_as_it_was_announced) {
    begin();
    std::ofstream(here_.document("file"), std::ios::binary | std::ios::app) << 'x';
    expect_all();
}

TEST_P(https_connection, a_changed_file_ends_it_where_its_time_counts) {
    begin({}, "/file?timed");
    {
        std::fstream file(here_.document("file"), std::ios::binary | std::ios::in | std::ios::out);
        // Far from what is being sent: nothing but its time tells.
        file.seekp(large - megabyte);
        file << std::string(megabyte, 'x');
    }
    expect_cut();
}

TEST_P(https_connection, a_shortened_file_ends_it) {
    begin();
    std::filesystem::resize_file(here_.document("file"), 2 * megabyte);
    expect_cut();
}

/// Once is enough for what the setup has no part in.
class https_connection_once : public https_connection {};
INSTANTIATE_FOR_SETUPS(https_connection_once, setup{"event"});

TEST_P(https_connection_once, asked_for_new_keys_the_server_has_some) {
    begin();
    client_->update_keys(true);
    read_more(2 * megabyte);
    EXPECT_EQ(client_->server_key_updates(), 1);
    client_->update_keys(false);
    client_->update_keys(true);
    expect_all();
    EXPECT_EQ(client_->server_key_updates(), 2);
}

TEST_P(https_connection_once, many_key_updates_at_once_are_followed) {
    begin({.suite = "TLS_CHACHA20_POLY1305_SHA256"});
    for (int i = 0; i < 100; ++i)
        client_->update_keys(i % 2 == 0);
    expect_all();
    EXPECT_GE(client_->server_key_updates(), 1);
}

TEST_P(https_connection_once, renegotiation_is_refused) {
    begin({.version = TLS1_2_VERSION});
    client_->ask_to_renegotiate();
    received_ += client_->read_to_end();
    // OpenSSL's client gives up when it is refused.
    constexpr int no_renegotiation = 100;
    EXPECT_EQ(client_->last_warning(), no_renegotiation);
    EXPECT_TRUE(received_ == sequence_bytes(0, received_.size()));
    EXPECT_GT(received_.size(), megabyte);
    client_.reset();
    expect_outcome("client-closed");
}

TEST(https_bytes, one_at_a_time_make_the_file) {
    site here({.https = "SSLProtocol all\n"});
    here.add_document("file", 150'013);
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        SCOPED_TRACE(version);
        const std::string probe = new_probe();
        // Room for less than a record.
        tls_client client(here.httpd().address(), https_port,
                          {.version = version, .receive_buffer = 4096, .bytes_a_read = 1});
        client.send(here.get_request("/file", probe));
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read_to_end() == sequence_bytes(0, 150'013));
        EXPECT_TRUE(client.ended_cleanly());
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        EXPECT_EQ(here.transfers().transfer(probe)->at("outcome"), "complete");
    }
}

TEST(https_pipelined, requests_are_all_answered) {
    site here({.https = ""});
    here.add_document("file", 300'000);
    const std::string expected = sequence_bytes(0, 300'000);
    for (const bool one_record : {true, false}) {
        SCOPED_TRACE(one_record);
        tls_client client(here.httpd().address(), https_port);
        const std::string first = new_probe();
        const std::string second = new_probe();
        const std::string requests[]{here.get_request("/file", first), here.get_request("/file", second)};
        if (one_record) {
            client.send(requests[0] + requests[1]);
        } else {
            client.send(requests[0]);
            client.send(requests[1]);
        }
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read(expected.size()) == expected);
        // In a record of its own it may come too late for httpd to see it: then the first one's
        // "Connection: close" has refused it.
        if (here.httpd().note_of(first) == "claimed") {
            EXPECT_FALSE(one_record);
            EXPECT_EQ(client.read_to_end(), "");
            continue;
        }
        EXPECT_EQ(here.httpd().note_of(first), "declined:pipelined");
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read_to_end() == expected);
        EXPECT_EQ(here.httpd().note_of(second), "claimed");
    }
}

TEST(https_pipelined, a_request_of_which_a_part_has_come_is_answered) {
    site here({.https = ""});
    here.add_document("file", 300'000);
    const std::string expected = sequence_bytes(0, 300'000);
    // libssl has read a header of 5 bytes, and says then that nothing is pending.
    for (const std::size_t bytes : {3U, 5U, 6U}) {
        SCOPED_TRACE(bytes);
        tls_client client(here.httpd().address(), https_port);
        const std::string first = new_probe();
        client.send_and_begin(here.get_request("/file", first), here.get_request("/file", new_probe()),
                              bytes);
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read(expected.size()) == expected);
        EXPECT_EQ(here.httpd().note_of(first), "declined:pipelined");
        client.send(here.get_request("/file", new_probe(), "Connection: close\r\n"));
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read(expected.size()) == expected);
    }
}

TEST(https_declined, clients_of_short_records_are_served_by_httpd) {
    site here({.https = ""});
    here.add_document("file", 300'000);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_client client(here.httpd().address(), https_port, {.version = version, .max_fragment = 1});
        const std::string probe = new_probe();
        client.send(here.get_request("/file", probe, "Connection: close\r\n"));
        EXPECT_EQ(status_of(client.read_head()), 200);
        EXPECT_TRUE(client.read_to_end() == sequence_bytes(0, 300'000));
        EXPECT_EQ(here.httpd().note_of(probe), "declined:tls-state");
    }
}

} // namespace
} // namespace dlhandoff::test
