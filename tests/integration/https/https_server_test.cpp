// How servers are set up for TLS: several hosts, client certificates, sessions, stapling, a key log.
#include "tests/integration/harness/canned_server.hpp"
#include "tests/integration/harness/certificate_authority.hpp"
#include "tests/integration/harness/site.hpp"
#include "tests/integration/harness/tls_client.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 1'000'000;
constexpr int versions[]{TLS1_3_VERSION, TLS1_2_VERSION};

/// Downloads /file over this connection; expects every byte, a clean end, and the note.
void expect_download(site& here, tls_client& client, const std::string& note = "claimed",
                     const std::string& host = "main.test",
                     const std::string& content = sequence_bytes(0, size)) {
    const std::string probe = new_probe();
    client.send("GET /file HTTP/1.1\r\nHost: " + host + "\r\nX-Probe: " + probe +
                "\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(client.read_head()), 200);
    EXPECT_TRUE(client.read_to_end() == content);
    EXPECT_TRUE(client.ended_cleanly());
    EXPECT_EQ(here.httpd().note_of(probe), note);
}

TEST(https_hosts, are_told_apart_by_name) {
    const temporary_directory certificates;
    const certificate_authority authority(certificates);
    const std::string first = authority.issue("first.test", certificate_authority::key_type::rsa);
    const std::string second = authority.issue("second.test", certificate_authority::key_type::ecdsa);
    const std::string hosts =
        "<VirtualHost *:8443>\nServerName first.test\nSSLEngine On\nSSLCertificateFile " + first +
        "\n</VirtualHost>\n<VirtualHost *:8443>\nServerName second.test\n" +
        "DocumentRoot \"${ROOT}/htdocs/second\"\nSSLEngine On\nSSLCertificateFile " + second +
        "\n</VirtualHost>\n";
    site here({.httpd = {.modules = {"socache_shmcb", "ssl"}, .configuration = hosts}, .https = ""});
    here.directory().make_directory("htdocs/second");
    here.add_document("file", size);
    make_document(here.document("second/file"), size / 2);
    struct host {
        const char* name;
        std::uint64_t size;
        const char* tls12;
    };
    for (const host& one :
         {host{"first.test", size, "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 user"},
          host{"second.test", size / 2, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 user"}}) {
        SCOPED_TRACE(one.name);
        for (const int version : versions) {
            tls_client client(here.httpd().address(), https_port,
                              {.version = version, .server_name = one.name});
            EXPECT_EQ(client.server_common_name(), one.name);
            expect_download(here, client, "claimed", one.name, sequence_bytes(0, one.size));
        }
        EXPECT_TRUE(here.transfers().wait_for([&](const nlohmann::json& line) {
            return line.at("vhost") == one.name && line.at("tls") == one.tls12 &&
                   line.at("outcome") == "complete";
        }));
    }
}

TEST(https_client_certificates, at_the_handshake) {
    const temporary_directory certificates;
    const certificate_authority authority(certificates);
    const std::string client_certificate = authority.issue("client.test");
    site here({.https = "SSLVerifyClient require\nSSLCACertificateFile " + authority.certificate() + '\n'});
    here.add_document("file", size);
    for (const int version : versions) {
        SCOPED_TRACE(version);
        tls_client client(here.httpd().address(), https_port,
                          {.version = version, .certificate = client_certificate});
        expect_download(here, client);
        const auto without_certificate = [&] {
            tls_client nobody(here.httpd().address(), https_port, {.version = version});
            nobody.send("GET /file HTTP/1.0\r\n\r\n");
            return nobody.read_to_end();
        };
        // With TLS 1.3 the client believes its handshake done before the server refuses it.
        if (version == TLS1_3_VERSION) {
            EXPECT_EQ(without_certificate(), "");
        } else {
            EXPECT_THROW((void)without_certificate(), std::runtime_error);
        }
    }
    EXPECT_TRUE(eventually([&] { return here.transfers().lines().size() == 2; }));
}

TEST(https_client_certificates, for_a_location_after_the_handshake) {
    const temporary_directory certificates;
    const certificate_authority authority(certificates);
    const std::string client_certificate = authority.issue("client.test");
    site here({.https = "SSLCACertificateFile " + authority.certificate() +
                        "\n<Location /file>\nSSLVerifyClient require\n</Location>\n"});
    here.add_document("file", size);
    {
        tls_client client(here.httpd().address(), https_port,
                          {.certificate = client_certificate, .offer_certificate_later = true});
        expect_download(here, client);
    }
    // Without: forbidden, and nothing is handed off.
    tls_client nobody(here.httpd().address(), https_port);
    nobody.send("GET /file HTTP/1.0\r\n\r\n");
    EXPECT_EQ(status_of(nobody.read_head()), 403);
    EXPECT_TRUE(eventually([&] { return here.transfers().lines().size() == 1; }));
}

TEST(https_key_log, is_still_written) {
    const temporary_directory directory;
    const std::string log = directory / "keys.log";
    site here({.httpd = {.environment = {"SSLKEYLOGFILE=" + log}}, .https = "SSLProtocol all\n"});
    here.add_document("file", size);
    for (const int version : versions) {
        SCOPED_TRACE(version);
        tls_client client(here.httpd().address(), https_port, {.version = version});
        unsigned char random[SSL3_RANDOM_SIZE];
        ASSERT_EQ(SSL_get_client_random(client.ssl(), random, sizeof random), sizeof random);
        expect_download(here, client);
        std::string hexadecimal;
        for (const unsigned char byte : random) {
            hexadecimal += "0123456789abcdef"[byte >> 4];
            hexadecimal += "0123456789abcdef"[byte & 15];
        }
        const std::string keys = read_file(log);
        EXPECT_NE(keys.find((version == TLS1_3_VERSION ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_RANDOM ") +
                            hexadecimal),
                  std::string::npos)
            << keys;
    }
}

TEST(https_stapling, goes_with_handing_off) {
    const temporary_directory certificates;
    const certificate_authority authority(certificates);
    const std::string certificate = authority.issue("main.test");
    const std::string status = authority.status_of(certificate);
    const canned_server responder("127.0.0.1",
                                  "HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n"
                                  "Content-Length: " +
                                      std::to_string(status.size()) + "\r\n\r\n" + status);
    site here({.httpd = {.modules = {"socache_shmcb", "ssl"},
                         .configuration =
                             "SSLStaplingCache shmcb:${ROOT}/run/stapling(128000)\n"
                             "Listen ${ADDRESS}:8444\n<VirtualHost *:8444>\nServerName main.test\n"
                             "SSLEngine On\nSSLCertificateFile " +
                             certificate + "\nSSLUseStapling On\nSSLStaplingForceURL http://127.0.0.1:" +
                             std::to_string(responder.port()) + "/\n</VirtualHost>\n"},
               .https = ""});
    here.add_document("file", size);
    for (const int version : versions) {
        SCOPED_TRACE(version);
        tls_client client(here.httpd().address(), 8444, {.version = version, .ask_for_status = true});
        EXPECT_EQ(client.stapled_status(), status);
        expect_download(here, client);
    }
}

TEST(https_sessions, are_resumed_from_the_cache_without_tickets) {
    site here({.https = "SSLSessionTickets Off\n"});
    here.add_document("file", size);
    for (const int version : versions) {
        SCOPED_TRACE(version);
        SSL_SESSION* session = nullptr;
        for (int i = 0; i < 3; ++i) {
            tls_client client(here.httpd().address(), https_port, {.version = version, .session = session});
            EXPECT_EQ(SSL_session_reused(client.ssl()), i == 0 ? 0 : 1);
            expect_download(here, client);
            SSL_SESSION_free(session);
            session = SSL_get1_session(client.ssl());
        }
        SSL_SESSION_free(session);
    }
}

TEST(https_absent, the_module_says_no_more_than_its_release) {
    site here({});
    here.add_document("file", size);
    const auto response = here.client().get("/file");
    here.expect_handed_off(response, "file");
    const std::string log = here.httpd().error_log();
    EXPECT_EQ(log.find("HTTPS"), std::string::npos) << log;
    EXPECT_EQ(log.find("[dlhandoff:error]"), std::string::npos) << log;
    EXPECT_EQ(log.find("[dlhandoff:warn]"), std::string::npos) << log;
    const std::size_t notice = log.find("[dlhandoff:notice]");
    EXPECT_EQ(log.rfind("[dlhandoff:notice]"), notice) << log;
    EXPECT_NE(log.find("mod_dlhandoff ", notice), std::string::npos) << log;
}

} // namespace
} // namespace dlhandoff::test
