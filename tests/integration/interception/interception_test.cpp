// Whatever ends in file buckets is handed off with its head as httpd made it; what filters change is not.
#include "tests/integration/harness/site.hpp"

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

class interception : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(interception, EVERY_SETUP);

TEST_P(interception, takes_what_ends_in_files) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"rewrite", "headers", "expires", "negotiation", "dav", "dav_fs"},
                         .configuration = R"(
Alias /alias/ htdocs/
RewriteEngine On
RewriteRule ^/rewritten/(.*)$ /$1
<Location /alias>
    Header set X-Set "as told"
    Header unset ETag
    ExpiresActive On
    ExpiresDefault "access plus 1 day"
</Location>
DavLockDB run/dav-lock
Alias /dav/ htdocs/
<Location /dav>
    Dav On
</Location>
AddLanguage en .en
AddLanguage de .de
<Location /variants>
    Options +MultiViews
</Location>
)"}});
    here.add_document("file", size);
    here.directory().make_directory("htdocs/variants");
    here.add_document("variants/page.txt.de", size + 1);
    here.add_document("variants/page.txt.en", size + 2);
    auto client = here.client();

    const auto plain = client.get("/file");
    here.expect_handed_off(plain, "file");
    EXPECT_EQ(plain.field("Content-Length"), std::to_string(size));
    EXPECT_EQ(plain.field("Accept-Ranges"), "bytes");
    EXPECT_FALSE(plain.field("ETag").empty());
    EXPECT_FALSE(plain.field("Date").empty());
    EXPECT_TRUE(plain.field("Server").starts_with("Apache"));

    const auto alias = client.get("/alias/file");
    here.expect_handed_off(alias, "file");
    EXPECT_EQ(alias.field("X-Set"), "as told");
    EXPECT_EQ(alias.field("ETag"), "");
    EXPECT_TRUE(alias.field("Cache-Control").starts_with("max-age=864")) << alias.head;
    EXPECT_FALSE(alias.field("Expires").empty());

    here.expect_handed_off(client.get("/rewritten/file"), "file");
    here.expect_handed_off(client.get("/dav/file"), "file");

    const auto german = client.get("/variants/page", {"Accept-Language: de"});
    here.expect_handed_off(german, "variants/page.txt.de");
    EXPECT_EQ(german.field("Content-Language"), "de");
    EXPECT_EQ(german.field("Content-Location"), "page.txt.de");
    EXPECT_TRUE(german.field("Vary").find("accept-language") != std::string::npos) << german.head;
    here.expect_handed_off(client.get("/variants/page", {"Accept-Language: en"}), "variants/page.txt.en");
}

TEST_P(interception, takes_hits_of_the_disk_cache) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"cache", "cache_disk"},
                         .configuration = "CacheRoot ${ROOT}/cache\nCacheEnable disk /\nCacheHeader On\n"
                                          "CacheIgnoreNoLastMod On\nCacheDefaultExpire 3600\n"},
               .start = false});
    here.directory().make_directory("cache", true);
    here.httpd().start();
    here.add_document("file", size);
    auto client = here.client();
    const auto is_hit = [](const http_response& response) {
        return response.field("X-Cache").starts_with("HIT");
    };
    const auto first = client.get("/file");
    EXPECT_EQ(first.body_sha256, sha256_of_file(here.document("file")));
    EXPECT_FALSE(is_hit(first)) << first.head;
    http_response hit;
    ASSERT_TRUE(eventually([&] { return is_hit(hit = client.get("/file")); })) << hit.head;
    here.expect_handed_off(hit, "file");
}

TEST_P(interception, leaves_what_filters_change) {
    site here({.how = GetParam(),
               .httpd = {.modules = {"filter", "deflate", "include", "ratelimit"}, .configuration = R"(
Alias /deflated/ htdocs/
Alias /limited/ htdocs/
<Location /deflated>
    SetOutputFilter DEFLATE
</Location>
<Location /limited>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 300
</Location>
<Location /included>
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
)"}});
    here.add_document("file", size);
    here.directory().make_directory("htdocs/included");
    const std::string padding(100'000, 'x');
    write_file(here.document("included/page.html"), padding + "<!--#echo var=\"QUERY_STRING\" -->" + padding);
    auto client = here.client();

    const auto deflated = client.get("/deflated/file", {"Accept-Encoding: gzip"});
    EXPECT_EQ(deflated.status, 200);
    EXPECT_EQ(deflated.field("Content-Encoding"), "gzip");
    EXPECT_EQ(deflated.body.substr(0, 2), "\x1f\x8b");
    EXPECT_TRUE(here.httpd().note_of(deflated.probe).starts_with("declined:"));
    // The same filter with nothing to do leaves the file as it is.
    here.expect_handed_off(client.get("/deflated/file"), "file");

    const auto included = client.get("/included/page.html?what=this");
    EXPECT_EQ(included.body, padding + "what=this" + padding);
    EXPECT_TRUE(here.httpd().note_of(included.probe).starts_with("declined:"));

    const auto limited = client.get("/limited/file");
    here.expect_served(limited, "file");
    EXPECT_GE(limited.duration, 500ms) << "300 kB at 300 kB/s";
}

TEST_P(interception, rewrites_the_head_where_connections_are_to_end) {
    site here({.how = GetParam(), .httpd = {.configuration = "DLHandoffKeepAlive Off\n"}});
    here.add_document("file", size);
    here.add_document("small", 1000);
    auto client = here.client();
    const auto small = client.get("/small");
    EXPECT_NE(small.field("Connection"), "close");
    const auto file = client.get("/file");
    here.expect_handed_off(file, "file");
    EXPECT_EQ(file.new_connections, 0) << "httpd kept the connection of the small one";
    EXPECT_EQ(file.field("Connection"), "close");
    EXPECT_EQ(file.field("Keep-Alive"), "");
    EXPECT_EQ(file.head.find("Connection"), file.head.rfind("Connection"));
    const auto next = client.get("/small");
    EXPECT_EQ(next.status, 200);
    EXPECT_EQ(next.new_connections, 1);
    // An explicit Keep-Alive from the client makes httpd announce it in the head that is then rewritten.
    const auto asked = client.get("/file", {"Connection: Keep-Alive"});
    here.expect_handed_off(asked, "file");
    EXPECT_EQ(asked.field("Connection"), "close");
    EXPECT_EQ(asked.field("Keep-Alive"), "");
}

} // namespace
} // namespace dlhandoff::test
