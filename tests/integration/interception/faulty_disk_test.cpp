// Files on a file system that misbehaves.
#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/integration/harness/site.hpp"
#include "tests/integration/harness/tls_client.hpp"

#include <fstream>
#include <gmock/gmock.h>

namespace dlhandoff::test {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t large = 16 << 20;

class faulty_disk_site : public ::testing::TestWithParam<setup> {
  protected:
    void SetUp() override {
        auto mounted = faulty_disk::mount();
        if (const auto* reason = std::get_if<std::string>(&mounted))
            GTEST_SKIP() << *reason;
        disk_ = std::get<0>(std::move(mounted));
        const std::string folder = disk_->folder();
        here_.emplace(site_options{.how = GetParam(),
                                   .httpd = {.configuration = "Alias /disk " + folder + "\nAlias /copied " +
                                                              folder + "\n<Directory " + folder +
                                                              ">\nRequire all granted\n</Directory>\n"
                                                              "<Location /copied>\nEnableSendfile Off\n"
                                                              "</Location>\n"},
                                   .https = ""});
        here_->add_document("sound", large);
    }

    /// What the log of the one who sends says.
    [[nodiscard]] std::string senders_log() {
        return GetParam().service ? here_->manager().output() : here_->httpd().error_log();
    }

    void expect_error(const std::string& probe) {
        const auto transfer = here_->transfers().transfer(probe);
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "error");
        EXPECT_LT(transfer->at("delivered"), transfer->at("expected"));
        EXPECT_TRUE(
            eventually([&] { return senders_log().find("Input/output error") != std::string::npos; }));
        EXPECT_THAT(senders_log(), HasSubstr(*disk_ / faulty_disk::dying));
        EXPECT_THAT(senders_log(), HasSubstr("inode "));
    }

    [[nodiscard]] std::string get(const std::string& path, const std::string& probe) {
        raw_client client = here_->connect();
        client.send(here_->get_request(path, probe, "Connection: close\r\n"));
        EXPECT_EQ(status_of(client.read_head()), 200);
        std::string body = client.read_to_end();
        client.close();
        EXPECT_EQ(here_->httpd().note_of(probe), "claimed");
        return body;
    }

    std::unique_ptr<faulty_disk> disk_;
    std::optional<site> here_;
};
INSTANTIATE_FOR_SETUPS(faulty_disk_site, EVERY_SETUP);

TEST_P(faulty_disk_site, a_disk_that_fails_ends_its_downloads_and_no_other) {
    raw_client other = here_->connect(small_receive_buffer);
    other.send(here_->get_request("/sound", "other", "Connection: close\r\n"));
    EXPECT_EQ(status_of(other.read_head()), 200);
    std::string all = other.read(1 << 20);

    const std::string body = get("/disk/dying", "dying");
    EXPECT_LE(body.size(), faulty_disk::unreadable_from);
    EXPECT_TRUE(faulty_disk::content().starts_with(body));
    expect_error("dying");

    all += other.read_to_end();
    EXPECT_TRUE(all == sequence_bytes(0, large));
    other.close();
    const auto transfer = here_->transfers().transfer("other");
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("outcome"), "complete");
}

TEST_P(faulty_disk_site, over_https_likewise) {
    {
        tls_client client(here_->httpd().address(), https_port);
        client.send(here_->get_request("/disk/dying", "dying"));
        EXPECT_EQ(status_of(client.read_head()), 200);
        const std::string body = client.read_to_end();
        EXPECT_LE(body.size(), faulty_disk::unreadable_from);
        EXPECT_TRUE(faulty_disk::content().starts_with(body));
        EXPECT_FALSE(client.ended_cleanly());
        EXPECT_EQ(here_->httpd().note_of("dying"), "claimed");
    }
    expect_error("dying");
}

/// Once is enough for what the setup has no part in.
class faulty_disk_site_once : public faulty_disk_site {};
INSTANTIATE_FOR_SETUPS(faulty_disk_site_once, setup{"event"}, setup{"event", true});

TEST_P(faulty_disk_site_once, drifting_times_interruptions_and_short_answers_are_no_change) {
    for (const std::string name : {faulty_disk::drifting, faulty_disk::interrupted, faulty_disk::halting}) {
        EXPECT_TRUE(get("/disk/" + name, name) == faulty_disk::content()) << name;
        const auto transfer = here_->transfers().transfer(name);
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "complete") << name;
    }
}

/// The page cache may have an earlier version of a network file system's file: sendfile(2) sends that.
TEST_P(faulty_disk_site_once, where_sendfile_is_off_files_are_read) {
    EXPECT_TRUE(get("/disk/versioned", "first") == faulty_disk::content(faulty_disk::file_size, 0));
    EXPECT_TRUE(get("/copied/versioned", "second") == faulty_disk::content(faulty_disk::file_size, 1));
}

} // namespace
} // namespace dlhandoff::test
