// Every byte of every kind of response, compared with the file.
#include "tests/integration/harness/site.hpp"

#include <array>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t kilobyte = 1024;
constexpr std::uint64_t megabyte = 1024 * kilobyte;
constexpr std::uint64_t gigabyte = 1024 * megabyte;

class bytes : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(bytes, EVERY_SETUP);

TEST_P(bytes, of_every_size_arrive) {
    site here({.how = GetParam(),
               .httpd = {.configuration =
                             "Alias /all/ htdocs/\n<Location /all>\nDLHandoffMinSize 0\n</Location>\n"}});
    auto client = here.client();
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, 64 * kilobyte - 1, 64 * kilobyte,
                                     64 * kilobyte + 1, megabyte, 20 * megabyte + 13}) {
        SCOPED_TRACE(size);
        const std::string name = std::to_string(size);
        here.add_document(name, size);
        const auto by_default = client.get("/" + name);
        if (size >= 64 * kilobyte)
            here.expect_handed_off(by_default, name);
        else
            here.expect_served(by_default, name, size == 0 ? "no-file" : "min-size");
        const auto whatever_its_size = client.get("/all/" + name);
        if (size > 0)
            here.expect_handed_off(whatever_its_size, name);
        else
            here.expect_served(whatever_its_size, name, "no-file");
    }
}

TEST_P(bytes, of_a_gigabyte_arrive) {
    site here({.how = GetParam()});
    make_sparse_document(here.document("large"), gigabyte);
    auto client = here.client();
    here.expect_handed_off(client.request({.path = "/large", .keep_body = false}), "large");
}

TEST_P(bytes, past_four_gigabytes_arrive) {
    site here({.how = GetParam()});
    make_sparse_document(here.document("huge"), 5 * gigabyte);
    auto client = here.client();
    const auto expect_range = [&](const std::string& range, std::uint64_t first, std::uint64_t length) {
        SCOPED_TRACE(range);
        const auto response = client.get("/huge", {"Range: bytes=" + range});
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.status, 206);
        EXPECT_EQ(response.field("Content-Range"), "bytes " + std::to_string(first) + "-" +
                                                       std::to_string(first + length - 1) + "/" +
                                                       std::to_string(5 * gigabyte));
        EXPECT_EQ(response.body_bytes, length);
        EXPECT_EQ(response.body_sha256, sha256_of_file(here.document("huge"), first, length));
        EXPECT_EQ(here.httpd().note_of(response.probe), "claimed");
    };
    expect_range("4294967295-4295967294", 4 * gigabyte - 1, 1'000'000);
    expect_range("4294967296-4295967295", 4 * gigabyte, 1'000'000);
    expect_range("-100000", 5 * gigabyte - 100'000, 100'000);
    expect_range(std::to_string(5 * gigabyte - 2 * megabyte) + "-", 5 * gigabyte - 2 * megabyte,
                 2 * megabyte);
}

TEST(bytes_of, five_gigabytes_arrive) {
    site here({.how = {"event", true}});
    make_sparse_document(here.document("huge"), 5 * gigabyte);
    auto client = here.client();
    here.expect_handed_off(client.request({.path = "/huge", .keep_body = false}), "huge");
}

TEST_P(bytes, of_single_ranges_arrive) {
    site here({.how = GetParam()});
    here.add_document("file", megabyte);
    auto client = here.client();
    struct expected_range {
        std::string field;
        std::uint64_t first;
        std::uint64_t length;
        std::string note;
    };
    const std::array<expected_range, 5> ranges{{{"0-", 0, megabyte, "claimed"},
                                                {"1-", 1, megabyte - 1, "claimed"},
                                                {"-70000", megabyte - 70'000, 70'000, "claimed"},
                                                {"100000-299999", 100'000, 200'000, "claimed"},
                                                {"10-19", 10, 10, "declined:min-size"}}};
    for (const auto& [field, first, length, note] : ranges) {
        SCOPED_TRACE(field);
        const auto response = client.get("/file", {"Range: bytes=" + field});
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.status, 206);
        EXPECT_EQ(response.body, sequence_bytes(first, length));
        EXPECT_EQ(here.httpd().note_of(response.probe), note);
    }
}

/// Asks for so many parts of a document of a megabyte, and compares each.
http_response expect_parts(const site& here, std::uint64_t parts, std::uint64_t part) {
    const auto first_of = [](std::uint64_t i) { return i * 20'000 + i; };
    std::string ranges = "Range: bytes=";
    for (std::uint64_t i = 0; i < parts; ++i)
        ranges += (i ? "," : "") + std::to_string(first_of(i)) + "-" + std::to_string(first_of(i) + part - 1);
    http_response response = here.client().get("/file", {ranges});
    EXPECT_EQ(response.error, CURLE_OK);
    EXPECT_EQ(response.status, 206);
    const std::string type = response.field("Content-Type");
    EXPECT_TRUE(type.starts_with("multipart/byteranges; boundary=")) << type;
    const std::string delimiter = "\r\n--" + type.substr(type.find('=') + 1);
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < parts; ++i) {
        const std::string range = std::to_string(first_of(i)) + "-" + std::to_string(first_of(i) + part - 1);
        const auto head_end = response.body.find("\r\n\r\n", at);
        if (head_end == std::string::npos || response.body.compare(at, delimiter.size(), delimiter) != 0) {
            ADD_FAILURE() << "no head of part " << i;
            return response;
        }
        const std::string head = response.body.substr(at + 2, head_end + 2 - at);
        EXPECT_EQ(field_of(head, "Content-Range"), "bytes " + range + "/1048576");
        EXPECT_TRUE(response.body.compare(head_end + 4, part, sequence_bytes(first_of(i), part)) == 0)
            << "part " << i;
        at = head_end + 4 + part;
    }
    EXPECT_EQ(response.body.substr(at), delimiter + "--\r\n");
    return response;
}

TEST_P(bytes, of_multi_ranges_arrive) {
    site here({.how = GetParam()});
    here.add_document("file", megabyte);
    const auto handed_off = expect_parts(here, 30, 3000);
    EXPECT_EQ(handed_off.field("Content-Length"), std::to_string(handed_off.body_bytes));
    EXPECT_EQ(here.httpd().note_of(handed_off.probe), "claimed");
    const auto transfer = here.transfers().transfer(handed_off.probe);
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("file_bytes"), 30 * 3000);
    EXPECT_EQ(transfer->at("outcome"), "complete");
    // httpd passes more than 32 parts on in stretches, without a Content-Length.
    (void)expect_parts(here, 50, 3000);
}

TEST_P(bytes, of_conditional_requests_are_those_of_httpd) {
    site here({.how = GetParam()});
    here.add_document("file", megabyte);
    auto client = here.client();
    const auto whole = client.get("/file");
    here.expect_handed_off(whole, "file");
    const std::string tag = whole.field("ETag");
    const std::string changed = whole.field("Last-Modified");
    ASSERT_TRUE(tag.starts_with('"')) << tag;

    for (const std::string& current : {tag, changed}) {
        SCOPED_TRACE(current);
        const auto part = client.get("/file", {"Range: bytes=500-99999", "If-Range: " + current});
        EXPECT_EQ(part.status, 206);
        EXPECT_EQ(part.body, sequence_bytes(500, 99'500));
        EXPECT_EQ(here.httpd().note_of(part.probe), "claimed");
    }
    for (const std::string old : {"\"0-0\"", "Mon, 01 Jan 2001 00:00:00 GMT"}) {
        SCOPED_TRACE(old);
        here.expect_handed_off(client.get("/file", {"Range: bytes=500-99999", "If-Range: " + old}), "file");
    }

    // What has no file in its body stays with httpd, and its connection stays open.
    const auto expect_httpd = [&](const http_response& response, long status) {
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.status, status);
        EXPECT_NE(here.httpd().note_of(response.probe), "claimed");
        EXPECT_NE(response.field("Connection"), "close");
    };
    expect_httpd(client.get("/file", {"If-None-Match: " + tag}), 304);
    expect_httpd(client.get("/file", {"If-Modified-Since: " + changed}), 304);
    expect_httpd(client.get("/file", {"If-Match: \"other\""}), 412);
    expect_httpd(client.get("/file", {"Range: bytes=5000000-"}), 416);
    const auto head = client.request({.path = "/file", .method = "HEAD"});
    expect_httpd(head, 200);
    EXPECT_EQ(head.field("Content-Length"), std::to_string(megabyte));
    expect_httpd(client.get("/nothing"), 404);
}

} // namespace
} // namespace dlhandoff::test
