// Downloads over HTTPS: the connection's keys travel with the socket.
#include "tests/integration/harness/site.hpp"
#include "tests/integration/harness/tls_suites.hpp"

#include <cstdio>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;

class https : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(https, EVERY_SETUP);

TEST_P(https, is_handed_off_with_every_suite) {
    site here({.how = GetParam(), .https = "SSLProtocol all\n"});
    here.add_document("file", 5 * megabyte + 13);
    for (const tls_suite_choice& one : handed_off_suites) {
        SCOPED_TRACE(one.openssl_name);
        auto client = here.client();
        http_request what{.path = "/file", .https = true};
        (one.tls13 ? what.tls13_suites : what.tls12_suites) = one.openssl_name;
        // A small page first, over the same connection: the record counts go on from there.
        what.path = "/ready";
        EXPECT_EQ(client.request(what).body, "ready\n");
        what.path = "/file";
        const auto response = client.request(what);
        EXPECT_EQ(response.new_connections, 0);
        here.expect_handed_off(response, "file");
        EXPECT_EQ(response.field("Connection"), "close");
        const auto transfer = here.transfers().transfer(response.probe);
        ASSERT_TRUE(transfer);
        EXPECT_EQ(transfer->value("tls", ""), one.logged);
    }
}

TEST_P(https, ranges_arrive) {
    site here({.how = GetParam(), .https = ""});
    here.add_document("file", 3 * megabyte);
    auto client = here.client();
    const auto response =
        client.request({.path = "/file", .fields = {"Range: bytes=1000000-1999999"}, .https = true});
    EXPECT_EQ(response.error, CURLE_OK);
    EXPECT_EQ(response.status, 206);
    EXPECT_EQ(response.body_sha256, sha256_of_file(here.document("file"), 1'000'000, 1'000'000));
    EXPECT_EQ(here.httpd().note_of(response.probe), "claimed");
}

TEST(https_declined, what_the_record_layer_cannot_do_is_served_by_httpd) {
    site here({.https = ""});
    here.add_document("file", megabyte);
    auto client = here.client();
    here.expect_served(
        client.request({.path = "/file", .https = true, .tls12_suites = "ECDHE-RSA-AES128-SHA256"}), "file",
        "tls-suite");
    here.expect_served(client.request({.path = "/file", .https = true, .tls12_suites = "AES128-GCM-SHA256"}),
                       "file", "tls-suite");
}

TEST(https_declined, where_the_directive_says_so) {
    site here({.https = "DLHandoffTLS Off\n"});
    here.add_document("file", megabyte);
    auto client = here.client();
    here.expect_served(client.request({.path = "/file", .https = true}), "file", "tls");
    here.expect_handed_off(client.get("/file"), "file");
}

TEST(https_declined, http2_is_left_to_httpd) {
    site here({.httpd = {.modules = {"http2"}}, .https = "Protocols h2 http/1.1\n"});
    here.add_document("file", megabyte);
    auto client = here.client();
    here.expect_served(client.request({.path = "/file", .version = CURL_HTTP_VERSION_2TLS, .https = true}),
                       "file", "http2");
    auto older = here.client();
    here.expect_handed_off(older.request({.path = "/file", .https = true}), "file");
}

TEST(https_sessions, resumed_ones_are_handed_off) {
    site here({.https = ""});
    here.add_document("file", megabyte);
    for (const bool tls13 : {false, true}) {
        auto client = here.client();
        http_request what{.path = "/file", .https = true};
        (tls13 ? what.tls13_suites : what.tls12_suites) =
            tls13 ? "TLS_AES_256_GCM_SHA384" : "ECDHE-RSA-AES256-GCM-SHA384";
        // Each download ends its connection; curl resumes the session on the next.
        for (int i = 0; i < 3; ++i) {
            const auto response = client.request(what);
            EXPECT_EQ(response.new_connections, 1);
            here.expect_handed_off(response, "file");
        }
    }
}

TEST(https_sessions, with_a_client_certificate_are_handed_off) {
    site here({.https = "<Location /file>\nSSLVerifyClient optional_no_ca\n</Location>\n"});
    here.add_document("file", megabyte);
    const std::string both = here.directory() / "client.pem";
    const std::string command = "cat '" + (here.directory() / "key.pem") + "' '" +
                                (here.directory() / "certificate.pem") + "' > '" + both + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    auto client = here.client();
    // TLS 1.2 renegotiates for the location: the count of records begins anew with the new keys.
    here.expect_handed_off(client.request({.path = "/file",
                                           .https = true,
                                           .tls12_suites = "ECDHE-RSA-AES256-GCM-SHA384",
                                           .client_certificate = both}),
                           "file");
}

TEST(https_clients, openssl_s_client_sees_a_clean_end) {
    site here({.https = ""});
    here.add_document("file", 3 * megabyte);
    const std::string command =
        "printf 'GET /file HTTP/1.1\\r\\nHost: main.test\\r\\n\\r\\n' | timeout 60 openssl s_client "
        "-quiet -ign_eof -connect " +
        here.httpd().address() + ':' + std::to_string(https_port) + " 2>'" +
        (here.directory() / "s_client.err") + "' >'" + (here.directory() / "s_client.out") + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    const auto out = here.directory() / "s_client.out";
    const auto size = std::filesystem::file_size(out);
    ASSERT_GT(size, 3 * megabyte);
    EXPECT_EQ(sha256_of_file(out, size - 3 * megabyte), sha256_of_file(here.document("file")));
}

} // namespace
} // namespace dlhandoff::test
