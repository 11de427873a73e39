// What the access log says of a handed-off response, beside what it says when httpd sends the same itself.
#include "tests/integration/harness/site.hpp"

#include <map>
#include <sstream>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

/// With X-Keep: 1 httpd sends itself.
constexpr const char* configuration = R"(
LogIOTrackTTFB On
SetEnvIf X-Keep 1 no-dlhandoff
LogFormat "%{X-Probe}i %X %k %^FB %O %I %S %B %b %D %s %>s %H %{dlhandoff}n" formats
CustomLog logs/formats.log formats
)";

struct line {
    std::string ending, requests, bytes_out, bytes_in, bytes, body, body_clf, status, last_status, protocol,
        note;
    long first_byte = -1; ///< microseconds
    long duration = -1;
};

line logged(const site& here, const std::string& probe) {
    line found;
    EXPECT_TRUE(eventually([&] {
        std::istringstream all(read_file(here.directory() / "logs/formats.log"));
        for (std::string text; std::getline(all, text);) {
            std::istringstream words(text);
            std::string name;
            words >> name >> found.ending >> found.requests >> found.first_byte >> found.bytes_out >>
                found.bytes_in >> found.bytes >> found.body >> found.body_clf >> found.duration >>
                found.status >> found.last_status >> found.protocol >> found.note;
            if (name == probe)
                return static_cast<bool>(words);
        }
        return false;
    })) << probe
        << " is not there, or not whole, in\n"
        << read_file(here.directory() / "logs/formats.log");
    return found;
}

struct asked {
    std::string fields;
    std::string ending; ///< %X
    std::string version = "1.1";
};

class access_log : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(access_log, EVERY_SETUP);

TEST_P(access_log, says_of_a_handed_off_response_what_it_says_of_httpds_own) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"logio"},
                         .configuration = std::string(configuration) + "MaxKeepAliveRequests 4\n"}});
    here.add_document("file", size);
    const std::vector<asked> conversation{{"", "+"},
                                          {"Range: bytes=100-199999\r\n", "+"},
                                          {"Range: bytes=0-99999,150000-249999\r\n", "+"},
                                          // httpd counts MaxKeepAliveRequests otherwise in its log.
                                          {"Connection: keep-alive\r\n", "-", "1.0"},
                                          {"", "-"}};
    const std::vector<asked> closing{{"", "+"}, {"Connection: close\r\n", "-"}};
    const std::vector<asked> old{{"", "-", "1.0"}};
    int connection = 0;
    for (const auto& requests : {conversation, closing, old}) {
        ++connection;
        std::vector<line> stock;
        for (const bool keep : {true, false}) {
            SCOPED_TRACE(keep ? "httpd's own" : "handed off");
            auto raw = here.connect();
            for (std::size_t i = 0; i < requests.size(); ++i) {
                SCOPED_TRACE(i);
                // Both requests have the same length.
                const std::string probe =
                    (keep ? "httpd-" : "taken-") + std::to_string(connection) + '-' + std::to_string(i);
                std::string request = here.get_request(
                    "/file", probe, (keep ? "X-Keep: 1\r\n" : "X-Keep: 0\r\n") + requests[i].fields);
                request.replace(request.find("1.1"), 3, requests[i].version);
                raw.send(request);
                const std::string head = raw.read_head();
                (void)raw.read(std::stoul(field_of(head, "Content-Length")));
                const line now = logged(here, probe);
                EXPECT_EQ(now.ending, requests[i].ending);
                EXPECT_EQ(now.protocol, "HTTP/" + requests[i].version);
                EXPECT_GT(now.first_byte, 0);
                EXPECT_GE(now.duration, now.first_byte);
                if (keep) {
                    EXPECT_EQ(now.note, "declined:env");
                    stock.push_back(now);
                    continue;
                }
                EXPECT_EQ(now.note, "claimed");
                EXPECT_EQ(now.requests, stock[i].requests);
                EXPECT_EQ(now.bytes_out, stock[i].bytes_out);
                EXPECT_EQ(now.bytes_in, stock[i].bytes_in);
                EXPECT_EQ(now.bytes, stock[i].bytes);
                EXPECT_EQ(now.body, stock[i].body);
                EXPECT_EQ(now.body_clf, stock[i].body_clf);
                EXPECT_EQ(now.status, stock[i].status);
                EXPECT_EQ(now.last_status, stock[i].last_status);
            }
        }
    }
}

/// Over HTTPS the connection ends after a handed-off response, and the records count.
TEST_P(access_log, over_https_says_what_is_true) {
    site here(
        {.how = GetParam(), .httpd = {.modules = {"logio"}, .configuration = configuration}, .https = ""});
    constexpr std::uint64_t large = 2 << 20;
    here.add_document("file", large);
    std::map<bool, line> lines;
    for (const bool keep : {true, false}) {
        const auto response = here.client().request(
            {.path = "/file", .fields = {keep ? "X-Keep: 1" : "X-Keep: 0"}, .https = true});
        EXPECT_EQ(response.body_bytes, large);
        lines[keep] = logged(here, response.probe);
    }
    EXPECT_EQ(lines[true].ending, "+");
    EXPECT_EQ(lines[false].ending, "-");
    EXPECT_EQ(lines[false].note, "claimed");
    EXPECT_EQ(lines[false].body, lines[true].body);
    // Of 128 records 22 bytes each, less the session tickets that go with httpd's first write.
    EXPECT_GT(std::stoul(lines[false].bytes_out), large + 128 * 22);
    EXPECT_NEAR(std::stod(lines[false].bytes_out), std::stod(lines[true].bytes_out), large / 100.0);
}

} // namespace
} // namespace dlhandoff::test
