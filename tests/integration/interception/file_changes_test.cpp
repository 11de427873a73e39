// What becomes of a download whose file is changed under way.
#include "tests/integration/harness/site.hpp"

#include <filesystem>
#include <fstream>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t large = 16 << 20;

/// Below /timed, a file's time counts, too.
constexpr const char* settings = "<Location /timed>\nDLHandoffFileCheck mtime\n</Location>\n";

/// A client that has begun to read, and what it gets in the end.
class file_changes : public ::testing::TestWithParam<setup> {
  protected:
    void begin(const std::string& name = "file") {
        name_ = name;
        std::filesystem::create_directories(std::filesystem::path(here_.document(name)).parent_path());
        here_.add_document(name, large);
        client_.emplace(here_.connect(small_receive_buffer));
        client_->send(here_.get_request("/" + name, "mid-way", "Connection: close\r\n"));
        const std::string head = client_->read_head();
        EXPECT_EQ(field_of(head, "Content-Length"), std::to_string(large));
        begin_ = client_->read(1 << 20);
        EXPECT_EQ(here_.httpd().note_of("mid-way"), "claimed");
        EXPECT_FALSE(here_.transfers().transfer("mid-way", 0ms)) << "not mid-way";
    }

    void append(std::string_view bytes) const {
        std::ofstream(here_.document(name_), std::ios::binary | std::ios::app) << bytes;
    }
    void touch() const {
        std::filesystem::last_write_time(here_.document(name_),
                                         std::filesystem::file_time_type::clock::now());
    }
    void overwrite_the_end() const {
        std::fstream file(here_.document(name_), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(large - (1 << 20));
        file << std::string(1 << 20, 'x');
    }

    void expect_all() {
        EXPECT_TRUE(begin_ + client_->read_to_end() == sequence_bytes(0, large));
        EXPECT_FALSE(client_->was_reset());
        client_->close();
        const auto transfer = here_.transfers().transfer("mid-way");
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "complete");
    }

    void expect_cut() {
        const std::string all = begin_ + client_->read_to_end();
        EXPECT_LT(all.size(), large) << "must not be taken for the whole";
        // What came before the change was right, and nothing is made up after it.
        EXPECT_TRUE(all == sequence_bytes(0, all.size()));
        const auto transfer = here_.transfers().transfer("mid-way");
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->at("outcome"), "file-changed");
        EXPECT_LT(transfer->at("delivered"), transfer->at("expected"));
        // The next one gets what the file is now.
        auto client = here_.client();
        here_.expect_handed_off(client.get("/" + name_), name_);
    }

    site here_{{.how = GetParam(), .httpd = {.configuration = settings}}};
    std::string name_;
    std::optional<raw_client> client_;
    std::string begin_;
};
INSTANTIATE_FOR_SETUPS(file_changes, EVERY_SETUP);

TEST_P(file_changes, truncation_ends_the_response_short) {
    begin();
    std::filesystem::resize_file(here_.document("file"), 3 << 20);
    expect_cut();
}

TEST_P(file_changes, truncation_behind_the_position_ends_the_response_short) {
    begin();
    std::filesystem::resize_file(here_.document("file"), 100'000);
    expect_cut();
}

TEST_P(file_changes, a_file_that_grows_is_sent_as_it_was_announced) {
    begin();
    append("x");
    expect_all();
}

TEST_P(file_changes, a_touched_file_is_sent_to_its_end) {
    begin();
    touch();
    expect_all();
}

TEST_P(file_changes, where_time_counts_a_file_may_grow_too) {
    begin("timed/file");
    append("x");
    expect_all();
}

TEST_P(file_changes, where_time_counts_other_content_ends_the_response_short) {
    begin("timed/file");
    overwrite_the_end();
    expect_cut();
}

TEST_P(file_changes, where_time_counts_a_touch_ends_the_response_short) {
    begin("timed/file");
    touch();
    expect_cut();
}

TEST_P(file_changes, replacement_by_rename_goes_unnoticed) {
    begin();
    make_document(here_.document("new"), 200'000);
    std::filesystem::rename(here_.document("new"), here_.document("file"));
    expect_all();
    auto client = here_.client();
    here_.expect_handed_off(client.get("/file"), "file");
}

TEST_P(file_changes, removal_goes_unnoticed) {
    begin();
    std::filesystem::remove(here_.document("file"));
    expect_all();
    EXPECT_EQ(here_.client().get("/file").status, 404);
}

} // namespace
} // namespace dlhandoff::test
