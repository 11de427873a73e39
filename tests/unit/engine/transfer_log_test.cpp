#include "engine/transfer_log.hpp"

#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
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
        {outcome::error, "error"},         {outcome::unconfirmed, "unconfirmed"},
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

/// While it lives, files of this process end at so many bytes: a write(2) is cut short there, and the next
/// one fails, as on a full disk but with EFBIG (setrlimit(2)).
class file_size_limit {
  public:
    explicit file_size_limit(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
        if (::getrlimit(RLIMIT_FSIZE, &before_) != 0)
            throw_errno("getrlimit");
        const rlimit lower{bytes, before_.rlim_max};
        if (::setrlimit(RLIMIT_FSIZE, &lower) != 0)
            throw_errno("setrlimit");
    }
    ~file_size_limit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, signal_);
    }
    file_size_limit(const file_size_limit&) = delete;
    file_size_limit& operator=(const file_size_limit&) = delete;

  private:
    rlimit before_{};
    void (*signal_)(int);
};

struct transfer_log_file : testing::Test {
    transfer_log_file() {
        if (::mkdtemp(directory.data()) == nullptr)
            throw_errno("mkdtemp");
        path = directory + "/transfers.log";
    }
    ~transfer_log_file() override { std::filesystem::remove_all(directory); }

    static void add(transfer_log& log, const std::string& id) {
        transfer_record record = sample_record();
        record.id = id;
        log.add(record);
    }
    /// Adds lines and flushes while the file may not grow beyond so many bytes.
    static bool flush_within(std::uint64_t bytes, transfer_log& log, const std::vector<std::string>& ids) {
        for (const std::string& id : ids)
            add(log, id);
        const file_size_limit full(bytes);
        return log.flush();
    }
    static bool flush(transfer_log& log, const std::string& id) {
        add(log, id);
        return log.flush();
    }
    [[nodiscard]] std::string text() const {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    /// The ids of the file's lines, each of which must be whole.
    [[nodiscard]] std::vector<std::string> ids() const {
        std::vector<std::string> found;
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            const json parsed = json::parse(line, nullptr, false);
            found.push_back(parsed.is_object() ? parsed.value("id", "none") : "not JSON: " + line);
        }
        EXPECT_TRUE(text().empty() || text().back() == '\n');
        return found;
    }
    [[nodiscard]] transfer_log::on_loss listener() {
        return [this](const engine::transfer_log_loss& loss) {
            static constexpr const char* names[] = {"begun", "over", "closed"};
            said.push_back(std::string(names[static_cast<int>(loss.now)]) + ' ' + std::to_string(loss.lines));
            last_error = loss.error;
        };
    }

    std::string directory = "/var/tmp/dlhandoff-log-XXXXXX";
    std::string path;
    /// The length of a line with an id of one byte.
    const std::uint64_t line_bytes = engine::to_json_line([] {
                                         transfer_record record = sample_record();
                                         record.id = "1";
                                         return record;
                                     }())
                                         .size();
    std::vector<std::string> said;
    int last_error = 0;
};

TEST_F(transfer_log_file, is_made_for_its_owner_and_group) {
    const mode_t before = ::umask(0);
    static_cast<void>(transfer_log::open(path));
    ::umask(before);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(transfer_log_file, is_appended_to_by_several) {
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

TEST_F(transfer_log_file, a_line_that_finds_half_its_room_leaves_nothing_behind) {
    transfer_log log = transfer_log::open(path);
    EXPECT_FALSE(flush_within(line_bytes * 5 / 2, log, {"1", "2", "3", "4"}));
    EXPECT_EQ(errno, EFBIG);
    EXPECT_THAT(ids(), ElementsAre("1", "2"));
    EXPECT_TRUE(flush(log, "5"));
    EXPECT_THAT(ids(), ElementsAre("1", "2", "5"));
}

TEST_F(transfer_log_file, losses_are_said_when_they_begin_and_when_they_are_over) {
    transfer_log log = transfer_log::open(path);
    log.report_losses_to(listener());
    EXPECT_TRUE(flush(log, "1"));
    EXPECT_THAT(said, ElementsAre());
    EXPECT_FALSE(flush_within(line_bytes * 5 / 2, log, {"2", "3", "4"}));
    EXPECT_THAT(said, ElementsAre("begun 2"));
    EXPECT_EQ(last_error, EFBIG);
    for (int i = 0; i < 10; ++i)
        EXPECT_FALSE(flush_within(line_bytes * 5 / 2, log, {"5"}));
    EXPECT_THAT(said, ElementsAre("begun 2"));
    EXPECT_TRUE(flush(log, "6"));
    EXPECT_THAT(said, ElementsAre("begun 2", "over 12"));
    EXPECT_TRUE(flush(log, "7"));
    log.close();
    EXPECT_THAT(said, ElementsAre("begun 2", "over 12"));
    EXPECT_THAT(ids(), ElementsAre("1", "2", "6", "7"));
}

TEST_F(transfer_log_file, losses_that_come_and_go_are_not_said_each_time_but_all_are_counted) {
    transfer_log log = transfer_log::open(path);
    log.report_losses_to(listener());
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(flush_within(1, log, {"1", "2"}));
        EXPECT_TRUE(flush(log, "3"));
        ASSERT_EQ(::truncate(path.c_str(), 0), 0);
    }
    ASSERT_GE(said.size(), 2U);
    EXPECT_LT(said.size(), 20U);
    EXPECT_EQ(said[0], "begun 2");
    EXPECT_EQ(said[1], "over 2");
    log.close();
    if (said.size() == 3) { // or the machine stood still for so long
        EXPECT_EQ(said[2], "closed 38");
    }
}

TEST_F(transfer_log_file, losses_that_are_not_over_are_said_at_its_end) {
    transfer_log log = transfer_log::open(path);
    log.report_losses_to(listener());
    EXPECT_FALSE(flush_within(1, log, {"1", "2"}));
    add(log, "3");
    {
        const file_size_limit full(1);
        log.close();
    }
    EXPECT_THAT(said, ElementsAre("begun 2", "closed 3"));
    EXPECT_THAT(ids(), ElementsAre());
}

TEST_F(transfer_log_file, who_meets_a_full_disk_leaves_the_others_lines_whole) {
    transfer_log one = transfer_log::open(path);
    transfer_log other = transfer_log::open(path);
    EXPECT_FALSE(flush_within(line_bytes * 3 / 2, one, {"1", "2"}));
    EXPECT_TRUE(flush(other, "3"));
    EXPECT_FALSE(flush_within(line_bytes * 5 / 2, other, {"4"}));
    EXPECT_TRUE(flush(one, "5"));
    EXPECT_TRUE(flush(other, "6"));
    EXPECT_THAT(ids(), ElementsAre("1", "3", "5", "6"));
}

/// As embedded: all children write through what the parent has opened.
TEST_F(transfer_log_file, is_whole_if_its_writers_share_one_open_file_too) {
    const file_descriptor opened = transfer_log::open_file(path.c_str());
    transfer_log one(file_descriptor::duplicate_of(opened.get()));
    transfer_log other(file_descriptor::duplicate_of(opened.get()));
    EXPECT_FALSE(flush_within(line_bytes * 3 / 2, one, {"1", "2"}));
    EXPECT_TRUE(flush(other, "3"));
    EXPECT_TRUE(flush(one, "4"));
    EXPECT_THAT(ids(), ElementsAre("1", "3", "4"));
}

TEST_F(transfer_log_file, half_a_line_of_a_killed_process_spoils_no_other) {
    std::ofstream(path) << R"({"time":"2028-02)";
    transfer_log log = transfer_log::open(path);
    EXPECT_TRUE(flush(log, "1"));
    EXPECT_TRUE(flush(log, "2"));
    EXPECT_THAT(ids(), ElementsAre(HasSubstr("not JSON"), "1", "2"));
}

/// Where the file can't be read, as where it can only be appended to (chattr(1)), half a line stays.
TEST_F(transfer_log_file, half_a_line_that_cannot_be_taken_off_spoils_no_other) {
    transfer_log log(file_descriptor(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)));
    EXPECT_FALSE(flush_within(line_bytes * 3 / 2, log, {"1", "2"}));
    EXPECT_FALSE(flush_within(line_bytes * 3 / 2, log, {"3"}));
    EXPECT_TRUE(flush(log, "4"));
    EXPECT_TRUE(flush(log, "5"));
    EXPECT_THAT(ids(), ElementsAre("1", HasSubstr("not JSON"), "4", "5"));
}

TEST_F(transfer_log_file, a_fifo_is_not_held_open_for_reading) {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const file_descriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const file_descriptor file = transfer_log::open_file(path.c_str());
    ASSERT_TRUE(file);
    EXPECT_EQ(::fcntl(file.get(), F_GETFL) & O_ACCMODE, O_WRONLY);
}

TEST(transfer_log_loss, is_described) {
    using engine::transfer_log_loss;
    using stage = transfer_log_loss::stage;
    EXPECT_EQ(describe(transfer_log_loss{stage::begun, ENOSPC, 1}),
              "can't be written (No space left on device): its lines are lost until it can; downloads go on");
    EXPECT_EQ(describe(transfer_log_loss{stage::over, ENOSPC, 1}), "is written again; 1 line was lost");
    EXPECT_EQ(describe(transfer_log_loss{stage::closed, ENOSPC, 7}),
              "is closed; 7 lines were lost, since it could not be written (No space left on device)");
}

TEST_F(transfer_log_file, one_that_cannot_be_opened_is_named) {
    path = directory + "/missing/transfers.log";
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
