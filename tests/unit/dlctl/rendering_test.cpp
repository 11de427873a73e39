#include "dlctl/rendering.hpp"

#include "dlctl/display_text.hpp"
#include "tests/unit/dlctl/sample_answers.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace dlhandoff::test {
namespace {

using namespace dlctl;

// clang-format off
TEST(rendering, status_at_40_80_and_200_columns) {
    EXPECT_EQ('\n' + render_status(sample_status(), 40), R"(
MANAGER  STATE   SENDING     SPEED
m1       live       1204  118 MB/s
m2       silent        2     0 B/s
total               1206  118 MB/s

Refused: full 500, not-tcp 2,
  descriptors-lost 62

dlmanagerd 1.2.3, wire 4
)");
    EXPECT_EQ('\n' + render_status(sample_status(), 80), R"(
MANAGER  STATE   SENDING  QUEUED  IDLE     SPEED    SENT    DESCRIPTORS  REFUSED
m1       live       1204       7    31  118 MB/s  9.9 TB  2520 of 65536      564
m2       silent        2       0     0     0 B/s     0 B     40 of 1024        0
total               1206       7    31  118 MB/s  9.9 TB  2560 of 66560      564

Refused: full 500, not-tcp 2, descriptors-lost 62

dlmanagerd 1.2.3, wire 4
)");
    EXPECT_EQ('\n' + render_status(sample_status(), 200), R"(
MANAGER   PID  STATE   SENDING  QUEUED  IDLE     SPEED    SENT    DESCRIPTORS        TCP MEMORY   OFFERS  CLAIMED  LATE  REFUSED
m1       4242  live       1204       7    31  118 MB/s  9.9 TB  2520 of 65536  190 MB of 512 MB  1234567  1234000     3      564
m2       4243  silent        2       0     0     0 B/s     0 B     40 of 1024               0 B        0        0     0        0
total                     1206       7    31  118 MB/s  9.9 TB  2560 of 66560  190 MB of 512 MB  1234567  1234000     3      564

Refused: full 500, not-tcp 2, descriptors-lost 62

dlmanagerd 1.2.3, wire 4
)");
}

TEST(rendering, list_at_40_80_and_200_columns) {
    EXPECT_EQ('\n' + render_list(sample_list(), 40), R"(
ID                  DONE      SPEED
mie3x2k1-3ab-7      50 %  20.0 kB/s
mie3x2k1-3ab-1042    0 %      0 B/s
mie3x2k1-3ab-1041   25 %   100 MB/s
mie3x2k9-3ac-9     100 %      0 B/s
)");
    EXPECT_EQ('\n' + render_list(sample_list(), 80), R"(
ID                  DONE                    SPEED     LEFT  URI
mie3x2k1-3ab-7      50 %  [=====>    ]  20.0 kB/s  4:51:40  example.org/v.mp4
mie3x2k1-3ab-1042    0 %  [          ]      0 B/s        -  ..ebian-12-amd64.iso
mie3x2k1-3ab-1041   25 %  [==>       ]   100 MB/s     0:30  ..ebian-12-amd64.iso
mie3x2k9-3ac-9     100 %  [==========]      0 B/s     0:00  ..ebian-12-amd64.iso
)");
    EXPECT_EQ('\n' + render_list(sample_list(), 200), R"(
ID                 CLIENT                                  CLASS    STATE       DONE                   SIZE      SPEED     LEFT  URI
mie3x2k1-3ab-7     2001:db8:1234:5678:9abc:def0:1234:5678  bulk     sending     50 %  [=====>    ]   700 MB  20.0 kB/s  4:51:40  example.org/v.mp4
mie3x2k1-3ab-1042  192.0.2.7                               default  queued       0 %  [          ]  70.0 kB      0 B/s        -  example.org/images/debian-12-amd64.iso
mie3x2k1-3ab-1041  192.0.2.7                               default  sending     25 %  [==>       ]   4.0 GB   100 MB/s     0:30  example.org/images/debian-12-amd64.iso
mie3x2k9-3ac-9     192.0.2.7                               default  lingering  100 %  [==========]  70.0 kB      0 B/s     0:00  example.org/images/debian-12-amd64.iso
)");
}

TEST(rendering, top_at_40_80_and_200_columns) {
    EXPECT_EQ('\n' + render_top(sample_status(), sample_list(), 40, 5), R"(
118 MB/s  sending 1206  queued 7  idle..

DONE      SPEED     LEFT  URI
25 %   100 MB/s     0:30  ..12-amd64.iso
50 %  20.0 kB/s  4:51:40  ..le.org/v.mp4
)");
    EXPECT_EQ('\n' + render_top(sample_status(), sample_list(), 80, 5), R"(
118 MB/s  sending 1206  queued 7  idle 31  managers 2

CLIENT           STATE    DONE                    SPEED     LEFT  URI
192.0.2.7        sending  25 %  [==>       ]   100 MB/s     0:30  ..12-amd64.iso
2001:db8:1234..  sending  50 %  [=====>    ]  20.0 kB/s  4:51:40  ..le.org/v.mp4
)");
    EXPECT_EQ('\n' + render_top(sample_status(), sample_list(), 200, 5), R"(
118 MB/s  sending 1206  queued 7  idle 31  managers 2

ID                 CLIENT                                  CLASS    STATE    DONE                  SIZE      SPEED     LEFT  URI
mie3x2k1-3ab-1041  192.0.2.7                               default  sending  25 %  [==>       ]  4.0 GB   100 MB/s     0:30  example.org/images/debian-12-amd64.iso
mie3x2k1-3ab-7     2001:db8:1234:5678:9abc:def0:1234:5678  bulk     sending  50 %  [=====>    ]  700 MB  20.0 kB/s  4:51:40  example.org/v.mp4
)");
}

TEST(rendering, hostile_text_is_made_harmless) {
    EXPECT_EQ('\n' + render_list({hostile_transfer()}, 0), R"(
ID          CLIENT            CLASS   STATE  DONE                  SIZE      SPEED     LEFT  URI
m1\x1b[31m  \x1b]0;owned\x07  a\x0ab  \x07   50 %  [=====>    ]  700 MB  20.0 kB/s  4:51:40  \x9b/\xe9\xe2\x80\xae\x0d\x1b[2J
)");
    // Of managers too.
    status_answer status = sample_status();
    status.managers[0].name = "\x1b[2J";
    status.managers[0].state = "a\nb";
    status.all.counts.refusals = {{"\x1b[31m", 1}};
    const std::string text = render_status(status, 0);
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
    EXPECT_NE(text.find("\\x1b[2J"), std::string::npos) << text;
    EXPECT_NE(text.find("Refused: \\x1b[31m 1"), std::string::npos) << text;
    EXPECT_NE(text.find("a\\x0ab"), std::string::npos) << text;
}
// clang-format on

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

TEST(rendering, no_line_is_wider_than_asked_at_any_width) {
    list_answer transfers = sample_list();
    transfers.push_back(hostile_transfer());
    transfers.back().uri = "/\u6587\u4ef6\u6587\u4ef6\u6587\u4ef6";
    for (std::size_t width = 1; width <= 220; ++width) {
        const std::string text = render_status(sample_status(), width) + render_list(transfers, width) +
                                 render_top(sample_status(), transfers, width, 0) + render_list({}, width);
        for (const std::string& line : lines_of(text))
            ASSERT_LE(columns_of(line), width) << line;
    }
}

TEST(rendering, a_screen_has_no_more_lines_than_asked) {
    for (std::size_t height = 1; height <= 10; ++height) {
        const auto lines = lines_of(render_top(sample_status(), sample_list(), 80, height));
        EXPECT_LE(lines.size(), height);
        EXPECT_EQ(lines.front(), "118 MB/s  sending 1206  queued 7  idle 31  managers 2");
        if (height >= 7) {
            EXPECT_EQ(lines.size(), 7U) << "all four transfers";
        }
    }
}

TEST(rendering, a_screen_begins_with_the_fastest) {
    const auto lines = lines_of(render_top(sample_status(), sample_list(), 0, 0));
    ASSERT_EQ(lines.size(), 7U);
    EXPECT_EQ(lines[3].substr(0, 17), "mie3x2k1-3ab-1041");
    EXPECT_EQ(lines[4].substr(0, 14), "mie3x2k1-3ab-7");
}

TEST(rendering, one_manager_needs_no_sum_and_no_refusals_no_line) {
    status_answer status = sample_status();
    status.managers.pop_back();
    status.all.counts.refusals.clear();
    status.all.version.clear(); // of a service that does not say it
    EXPECT_EQ(lines_of(render_status(status, 40)).size(), 2U);
    status.managers.clear();
    EXPECT_EQ(lines_of(render_status(status, 40)).size(), 2U) << "without a manager, the sum of none";
}

TEST(rendering, an_empty_list_says_so) {
    EXPECT_EQ(render_list({}, 80), "No transfers.\n");
}

TEST(rendering, progress) {
    EXPECT_EQ(progress_bar(0, 100, 12), "[          ]");
    EXPECT_EQ(progress_bar(1, 100, 12), "[>         ]");
    EXPECT_EQ(progress_bar(50, 100, 12), "[=====>    ]");
    EXPECT_EQ(progress_bar(99, 100, 12), "[=========>]");
    EXPECT_EQ(progress_bar(100, 100, 12), "[==========]");
    EXPECT_EQ(progress_bar(200, 100, 12), "[==========]") << "more than all is all";
    EXPECT_EQ(progress_bar(0, 0, 12), "[==========]");
    EXPECT_EQ(progress_bar(UINT64_MAX - 1, UINT64_MAX, 4).size(), 4U);
}

} // namespace
} // namespace dlhandoff::test
