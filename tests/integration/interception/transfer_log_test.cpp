// Every field of the transfer log.
#include "tests/integration/harness/site.hpp"

#include <regex>
#include <set>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

class transfer_log_fields : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(transfer_log_fields, EVERY_SETUP);

TEST_P(transfer_log_fields, say_what_happened) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"auth_basic", "authn_file", "authz_user"}, .configuration = R"(
Alias /private/ htdocs/
<Location /private>
    AuthType Basic
    AuthName "Files"
    AuthUserFile ${ROOT}/passwords
    Require user "ann"
</Location>
<VirtualHost *>
    ServerName main.test
</VirtualHost>
<VirtualHost *>
    ServerName other.test
    DocumentRoot htdocs
    DLHandoffTag "%{HTTP:X-Probe}"
</VirtualHost>
)"}});
    // "ann", password "secret" (htpasswd -s).
    write_file(here.directory() / "passwords", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    here.add_document("file", size);
    auto client = here.client();

    const auto plain = client.get("/file?a=1&b=%20");
    auto line = here.transfers().transfer(plain.probe);
    ASSERT_TRUE(line);
    const std::set<std::string> names{
        "time",      "id",          "client",  "client_key", "user",     "vhost", "method",
        "uri",       "status",      "range",   "file_bytes", "expected", "sent",  "delivered",
        "queued_ms", "duration_ms", "outcome", "tls",        "class",    "tag",   "manager"};
    std::set<std::string> found;
    for (const auto& [name, value] : line->items())
        found.insert(name);
    EXPECT_EQ(found, names);
    EXPECT_TRUE(std::regex_match(line->at("time").get<std::string>(),
                                 std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d))")))
        << line->at("time");
    EXPECT_FALSE(line->at("id").get<std::string>().empty());
    EXPECT_EQ(line->at("client"), "127.0.0.1");
    EXPECT_EQ(line->at("client_key"), "127.0.0.1");
    EXPECT_EQ(line->at("user"), "");
    EXPECT_EQ(line->at("vhost"), "main.test");
    EXPECT_EQ(line->at("method"), "GET");
    EXPECT_EQ(line->at("uri"), "/file?a=1&b=%20");
    EXPECT_EQ(line->at("status"), 200);
    EXPECT_EQ(line->at("range"), "");
    EXPECT_EQ(line->at("file_bytes"), size);
    for (const char* count : {"expected", "sent", "delivered"})
        EXPECT_EQ(line->at(count), plain.head.size() + size) << count;
    EXPECT_EQ(line->at("queued_ms"), 0);
    EXPECT_GE(line->at("duration_ms"), 0);
    EXPECT_LT(line->at("duration_ms"), 10'000);
    EXPECT_EQ(line->at("outcome"), "complete");
    EXPECT_EQ(line->at("class"), "default");
    EXPECT_EQ(line->at("tag"), plain.probe);
    EXPECT_TRUE(line->at("manager").get<std::string>().starts_with(GetParam().service ? "m1" : "httpd-"))
        << line->at("manager");

    const auto range = client.get("/file", {"Range: bytes=100-99999"});
    line = here.transfers().transfer(range.probe);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("status"), 206);
    EXPECT_EQ(line->at("range"), "bytes=100-99999");
    EXPECT_EQ(line->at("file_bytes"), 99'900);
    EXPECT_EQ(line->at("expected"), range.head.size() + 99'900);

    const auto refused = client.request({.path = "/private/file", .user_password = "ann:wrong"});
    EXPECT_EQ(refused.status, 401);
    const auto named = client.request({.path = "/private/file", .user_password = "ann:secret"});
    EXPECT_EQ(named.status, 200);
    line = here.transfers().transfer(named.probe);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("user"), "ann");
    EXPECT_EQ(line->at("uri"), "/private/file");

    const auto other = client.get("/file", {"Host: other.test"});
    line = here.transfers().transfer(other.probe);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("vhost"), "other.test");

    const auto posted = client.request({.path = "/file", .method = "POST", .content = "a=b"});
    if (here.httpd().note_of(posted.probe) == "claimed") {
        line = here.transfers().transfer(posted.probe);
        ASSERT_TRUE(line);
        EXPECT_EQ(line->at("method"), "POST");
    }

    // What is no UTF-8, and what JSON must escape, spoils no line.
    auto raw = here.connect();
    raw.send("GET /file?%22\xff\\ HTTP/1.1\r\nHost: main.test\r\nConnection: close\r\nX-Probe: "
             "a\"b\\c\xfe\r\n\r\n");
    (void)raw.read_to_end();
    raw.close();
    std::set<std::string> ids;
    const auto all = here.transfers().lines();
    for (const auto& one : all)
        ids.insert(one.at("id").get<std::string>());
    EXPECT_EQ(ids.size(), all.size()) << "an id came twice";
    EXPECT_TRUE(here.transfers().wait_for(
        [&](const auto& one) { return one.at("uri").template get<std::string>().starts_with("/file?%22"); }));
}

TEST_P(transfer_log_fields, have_no_tag_without_a_directive) {
    site here({.how = GetParam(), .handoff = "DLHandoff On\n"});
    here.add_document("file", size);
    auto client = here.client();
    EXPECT_EQ(client.get("/file?untagged").status, 200);
    const auto line =
        here.transfers().wait_for([](const auto& one) { return one.at("uri") == "/file?untagged"; });
    ASSERT_TRUE(line);
    EXPECT_EQ(line->at("tag"), "");
}

} // namespace
} // namespace dlhandoff::test
