#include "engine/transfer_log.hpp"

#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using namespace std::string_literals;
using engine::outcome;
using engine::transfer_log;
using engine::transfer_record;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

/// The end of a day of a leap year, to the millisecond.
constexpr std::chrono::sys_seconds last_second = std::chrono::sys_days(std::chrono::year(2028) / 2 / 29) +
                                                 std::chrono::hours(23) + std::chrono::minutes(59) +
                                                 std::chrono::seconds(59);

transfer_record sample_record() {
    transfer_record record;
    record.time = last_second + std::chrono::milliseconds(7);
    record.id = "id-1";
    record.facts.client = "192.0.2.1";
    record.facts.client_key = "192.0.2.0/24";
    record.facts.user = "alice";
    record.facts.vhost = "downloads.example.org";
    record.facts.method = "GET";
    record.facts.uri = "/file?x=1";
    record.facts.range = "bytes=0-99";
    record.facts.tag = "mirror";
    record.facts.status = 206;
    record.file_bytes = 5'000'000'000;
    record.expected = 5'000'000'300;
    record.sent = 4'000'000'000;
    record.delivered = 3'999'999'999;
    record.queued = std::chrono::milliseconds(12);
    record.duration = std::chrono::milliseconds(34'567);
    record.how = outcome::client_closed;
    record.transfer_class = "default";
    record.manager = "m1";
    return record;
}

TEST(transfer_log, a_line_has_all_fields_in_their_order) {
    EXPECT_EQ(engine::to_json_line(sample_record()),
              R"({"time":"2028-02-29T23:59:59.007Z","id":"id-1","client":"192.0.2.1",)"
              R"("client_key":"192.0.2.0/24","user":"alice","vhost":"downloads.example.org","method":"GET",)"
              R"("uri":"/file?x=1","status":206,"range":"bytes=0-99","file_bytes":5000000000,)"
              R"("expected":5000000300,"sent":4000000000,"delivered":3999999999,"queued_ms":12,)"
              R"("duration_ms":34567,"outcome":"client-closed","tls":"","class":"default","tag":"mirror",)"
              R"("manager":"m1"})"
              "\n");
}

TEST(transfer_log, time_is_utc_with_milliseconds_whatever_the_time_zone) {
    ::setenv("TZ", "Asia/Kolkata", 1);
    ::tzset();
    transfer_record record = sample_record();
    record.time = std::chrono::sys_seconds(std::chrono::seconds(0)) + std::chrono::milliseconds(999);
    const json line = json::parse(engine::to_json_line(record));
    ::unsetenv("TZ");
    ::tzset();
    EXPECT_EQ(line["time"], "1970-01-01T00:00:00.999Z");
}

TEST(transfer_log, outcomes_have_their_names) {
    const std::pair<outcome, const char*> names[] = {
        {outcome::complete, "complete"},   {outcome::client_closed, "client-closed"},
        {outcome::stalled, "stalled"},     {outcome::file_changed, "file-changed"},
        {outcome::cancelled, "cancelled"}, {outcome::shutdown, "shutdown"},
        {outcome::error, "error"},
    };
    for (const auto& [how, text] : names)
        EXPECT_EQ(engine::name(how), text);
}

TEST(transfer_log, whatever_a_client_sends_stays_one_line_of_json) {
    transfer_record record = sample_record();
    const std::string hostile = "\"},\n{\"user\":\"root\"\\ \t\r\x01\x7f\0end"s;
    record.facts.uri = hostile;
    const std::string line = engine::to_json_line(record);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    EXPECT_EQ(line.back(), '\n');
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed["uri"], hostile);
    EXPECT_EQ(parsed["user"], "alice");
}

TEST(transfer_log, bytes_that_are_not_utf8_become_replacement_characters) {
    transfer_record record = sample_record();
    record.facts.uri = "/caf\xe9/\xff\xfe.iso";
    record.facts.tag = "gr\xc3\xbc\xc3\x9f"; // is UTF-8, and stays
    const json line = json::parse(engine::to_json_line(record));
    EXPECT_EQ(line["uri"], "/caf\xef\xbf\xbd/\xef\xbf\xbd\xef\xbf\xbd.iso");
    EXPECT_EQ(line["tag"], "gr\xc3\xbc\xc3\x9f");
}

TEST(transfer_log, lines_are_written_by_flush) {
    const readable_log file;
    transfer_log log = file.writer();
    EXPECT_FALSE(log.pending());
    log.add(sample_record());
    log.add(sample_record());
    EXPECT_TRUE(log.pending());
    EXPECT_TRUE(file.lines().empty());
    EXPECT_TRUE(log.flush());
    EXPECT_FALSE(log.pending());
    EXPECT_EQ(file.lines().size(), 2U);
    EXPECT_TRUE(log.flush());
    EXPECT_EQ(file.lines().size(), 2U);
}

TEST(transfer_log, without_a_file_there_is_nothing_to_write) {
    transfer_log log;
    log.add(sample_record());
    EXPECT_FALSE(log.pending());
    EXPECT_TRUE(log.flush());
}

TEST(transfer_log, a_full_disk_costs_lines_and_is_reported) {
    transfer_log log(file_descriptor(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
    log.add(sample_record());
    EXPECT_FALSE(log.flush());
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_FALSE(log.pending());
    EXPECT_TRUE(log.flush()); // nothing left to write
    log.add(sample_record());
    EXPECT_FALSE(log.flush());
}

struct transfer_log_file : testing::Test {
    transfer_log_file() {
        if (::mkdtemp(directory.data()) == nullptr)
            throw_errno("mkdtemp");
    }
    ~transfer_log_file() override { std::filesystem::remove_all(directory); }

    std::string directory = "/var/tmp/dlhandoff-log-XXXXXX";
};

TEST_F(transfer_log_file, is_made_for_its_owner_and_group) {
    const std::string path = directory + "/transfers.log";
    const mode_t before = ::umask(0);
    static_cast<void>(transfer_log::open(path));
    ::umask(before);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(transfer_log_file, is_appended_to_by_several) {
    const std::string path = directory + "/transfers.log";
    std::ofstream(path) << "before\n";
    transfer_log one = transfer_log::open(path);
    transfer_log other = transfer_log::open(path);
    transfer_record record = sample_record();
    record.id = "of-one";
    one.add(record);
    record.id = "of-other";
    other.add(record);
    EXPECT_TRUE(one.flush());
    EXPECT_TRUE(other.flush());
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    EXPECT_THAT(lines, ElementsAre("before", HasSubstr("of-one"), HasSubstr("of-other")));
}

TEST_F(transfer_log_file, one_that_cannot_be_opened_is_named) {
    const std::string path = directory + "/missing/transfers.log";
    try {
        static_cast<void>(transfer_log::open(path));
        FAIL() << "it was opened";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
        EXPECT_THAT(error.what(), HasSubstr(path));
    }
}

} // namespace
} // namespace dlhandoff::test
