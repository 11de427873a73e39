// What configtest says, how settings merge, and that the shipped files load.
#include "tests/integration/harness/site.hpp"

#include "shared/release.hpp"

#include <array>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;

/// configtest of a server with these lines.
command_result tested(const std::string& lines) {
    const temporary_directory directory;
    return private_httpd(directory, {.configuration = lines}).configtest();
}

struct wrong_setting {
    std::string lines;
    std::vector<std::string> said; ///< all of these, in what httpd prints
};
void PrintTo(const wrong_setting& one, std::ostream* out) {
    *out << one.lines;
}

class wrong_settings : public ::testing::TestWithParam<wrong_setting> {};

TEST_P(wrong_settings, are_named_with_what_is_allowed) {
    const auto result = tested(GetParam().lines);
    EXPECT_NE(result.status, 0);
    for (const std::string& text : GetParam().said)
        EXPECT_NE(result.output.find(text), std::string::npos)
            << "not said: " << text << "\nin: " << result.output;
}

INSTANTIATE_TEST_SUITE_P(
    of, wrong_settings,
    ::testing::Values(
        wrong_setting{"DLHandoff maybe", {"DLHandoff: 'maybe' is not allowed", "allowed are On and Off"}},
        wrong_setting{"DLHandoff", {"DLHandoff"}}, wrong_setting{"DLHandoff On Off", {"DLHandoff"}},
        wrong_setting{"DLHandoffMinSize 12Q", {"DLHandoffMinSize: '12Q'", "K, M or G"}},
        wrong_setting{"DLHandoffMinSize -1", {"DLHandoffMinSize: '-1'", "K, M or G"}},
        wrong_setting{"DLHandoffMinSize 1.5M", {"DLHandoffMinSize: '1.5M'", "K, M or G"}},
        wrong_setting{"DLHandoffMinSize 10000000000G", {"DLHandoffMinSize: '10000000000G'", "K, M or G"}},
        wrong_setting{"DLHandoffMinSize K", {"DLHandoffMinSize: 'K'", "K, M or G"}},
        wrong_setting{"DLHandoffMinSize \"\"", {"DLHandoffMinSize takes one argument", "K, M, G"}},
        wrong_setting{"DLHandoffManager service", {"DLHandoffManager: 'service'", "embedded", "unix:PATH"}},
        wrong_setting{"DLHandoffManager unix:", {"DLHandoffManager: 'unix:'", "embedded", "unix:PATH"}},
        wrong_setting{"DLHandoffManager unix:relative/path",
                      {"DLHandoffManager: 'unix:relative/path'", "absolute path"}},
        wrong_setting{"DLHandoffManager unix:/" + std::string(120, 'x'),
                      {"DLHandoffManager: 'unix:/xxx", "bytes"}},
        wrong_setting{"DLHandoffClaimTimeout soon", {"DLHandoffClaimTimeout: 'soon'", "ms"}},
        wrong_setting{"DLHandoffClaimTimeout 0", {"DLHandoffClaimTimeout: '0'", "above 0"}},
        wrong_setting{"DLHandoffClaimTimeout 25h", {"DLHandoffClaimTimeout: '25h'", "up to 24h"}},
        wrong_setting{"DLHandoffClaimTimeout -5ms", {"DLHandoffClaimTimeout: '-5ms'", "above 0"}},
        wrong_setting{"DLHandoffTag \"%{unclosed\"", {"DLHandoffTag: '%{unclosed'", "expression"}},
        wrong_setting{"DLHandoffTag \"%{nosuchfunction:x}\"",
                      {"DLHandoffTag: '%{nosuchfunction:x}'", "expression"}},
        wrong_setting{"DLHandoffTransferLog \"\"", {"DLHandoffTransferLog takes one argument"}},
        wrong_setting{"DLHandoffManager unix:/run/x.sock\nDLHandoffTransferLog logs/t.log",
                      {"DLHandoffTransferLog", "DLHandoffManager unix:/run/x.sock", "embedded"}},
        wrong_setting{"DLHandoffTransferLog logs/t.log\nDLHandoffManager unix:/run/x.sock",
                      {"DLHandoffTransferLog", "DLHandoffManager unix:/run/x.sock", "embedded"}},
        wrong_setting{"DLHandoffFileCheck strict",
                      {"DLHandoffFileCheck: 'strict' is not allowed", "allowed are size", "mtime"}},
        wrong_setting{"DLHandoffFileCheck", {"DLHandoffFileCheck takes one argument"}},
        wrong_setting{"DLHandoffRate fast", {"DLHandoffRate: 'fast'", "500K", "0 for no limit"}},
        wrong_setting{"DLHandoffRate -1", {"DLHandoffRate: '-1'", "0 for no limit"}},
        wrong_setting{"DLHandoffRate 100K after much",
                      {"DLHandoffRate: '100K after much'", "500K after 10M"}},
        wrong_setting{"DLHandoffRate 100K before 1M", {"DLHandoffRate: '100K before 1M'", "500K after 10M"}},
        wrong_setting{"DLHandoffRate 0 after 1M", {"DLHandoffRate: '0 after 1M'", "500K after 10M"}},
        wrong_setting{"DLHandoffRate 100K after", {"DLHandoffRate takes one or three arguments"}},
        wrong_setting{"DLHandoffClass \"two words\"", {"DLHandoffClass: 'two words'", "letters, digits"}},
        wrong_setting{"DLHandoffClass " + std::string(65, 'x'), {"DLHandoffClass: 'xxx", "up to 64 letters"}},
        wrong_setting{"DLHandoffClient \"%{unclosed\"", {"DLHandoffClient: '%{unclosed'", "%{REMOTE_USER}"}},
        wrong_setting{"DLHandoffWhenFull wait", {"DLHandoffWhenFull: 'wait'", "serve", "busy"}},
        wrong_setting{"DLHandoffMaxTransfers many", {"DLHandoffMaxTransfers: 'many'", "a number from 1 to"}},
        wrong_setting{"DLHandoffMaxTransfers -1", {"DLHandoffMaxTransfers: '-1'", "a number from 1 to"}},
        wrong_setting{"DLHandoffMaxTransfers 10K", {"DLHandoffMaxTransfers: '10K'", "a number from 1 to"}},
        wrong_setting{"DLHandoffMaxPerClient 1.5", {"DLHandoffMaxPerClient: '1.5'", "0 for no bound"}},
        wrong_setting{"DLHandoffMaxPerClient 99999999999",
                      {"DLHandoffMaxPerClient: '99999999999'", "0 for no bound"}},
        wrong_setting{"DLHandoffQueue long", {"DLHandoffQueue: 'long'", "0 for no queue"}},
        wrong_setting{"DLHandoffQueue 10 soon", {"DLHandoffQueue: 'soon'", "from 1ms to 24h"}},
        wrong_setting{"DLHandoffQueue 10 0", {"DLHandoffQueue: '0'", "from 1ms to 24h"}},
        wrong_setting{"DLHandoffQueue 10 25h", {"DLHandoffQueue: '25h'", "from 1ms to 24h"}},
        wrong_setting{
            "DLHandoffMaxTransfers 5\nDLHandoffManager unix:/run/x.sock",
            {"DLHandoffMaxTransfers does not go with DLHandoffManager unix:/run/x.sock", "[limits]"}},
        wrong_setting{
            "DLHandoffManager unix:/run/x.sock\nDLHandoffMaxPerClient 5",
            {"DLHandoffMaxPerClient does not go with DLHandoffManager unix:/run/x.sock", "[limits]"}},
        wrong_setting{"DLHandoffManager unix:/run/x.sock\nDLHandoffQueue 5 1s",
                      {"DLHandoffQueue does not go with DLHandoffManager unix:/run/x.sock", "[limits]"}},
        wrong_setting{"<VirtualHost *>\nDLHandoffMaxTransfers 1\n</VirtualHost>",
                      {"DLHandoffMaxTransfers cannot occur within"}},
        wrong_setting{"<VirtualHost *>\nDLHandoffQueue 1\n</VirtualHost>",
                      {"DLHandoffQueue cannot occur within"}},
        wrong_setting{"<VirtualHost *>\nDLHandoffManager embedded\n</VirtualHost>",
                      {"DLHandoffManager cannot occur within"}},
        wrong_setting{"<Directory /x>\nDLHandoffManager embedded\n</Directory>", {"DLHandoffManager"}},
        wrong_setting{"<VirtualHost *>\nDLHandoffClaimTimeout 1s\n</VirtualHost>",
                      {"DLHandoffClaimTimeout cannot occur within"}},
        wrong_setting{"<VirtualHost *>\nDLHandoffTransferLog logs/t.log\n</VirtualHost>",
                      {"DLHandoffTransferLog cannot occur within"}}),
    [](const auto& one) { return std::to_string(one.index); });

/// As with httpd's own logs, configtest opens none.
TEST(configuration, a_transfer_log_that_cannot_be_written_stops_the_start) {
    const temporary_directory directory;
    private_httpd server(directory, {.configuration = "DLHandoffTransferLog nosuchfolder/transfers.log"});
    try {
        server.start();
        FAIL() << "has started";
    } catch (const std::runtime_error& error) {
        const std::string said = error.what();
        EXPECT_NE(said.find("DLHandoffTransferLog"), std::string::npos) << said;
        EXPECT_NE(said.find(directory / "nosuchfolder/transfers.log"), std::string::npos) << said;
    }
}

TEST(configuration, right_settings_pass) {
    const auto result = tested(R"(
DLHandoff on
DLHandoffMinSize 1g
DLHandoffClaimTimeout 1s
DLHandoffTag "%{REMOTE_ADDR} for %{HTTP_HOST}"
DLHandoffTransferLog logs/transfers.log
DLHandoffManager embedded
<VirtualHost *>
    DLHandoff Off
    <Location />
        DLHandoff On
        DLHandoffMinSize 0
        DLHandoffTag none
    </Location>
</VirtualHost>
)");
    EXPECT_EQ(result.status, 0) << result.output;
    const auto service = tested("DLHandoff On\nDLHandoffManager unix:/run/dlmanagerd/manager.sock\n");
    EXPECT_EQ(service.status, 0) << service.output;
}

TEST(configuration, merges_from_server_to_directory_and_htaccess) {
    site here({.how = {"event"}, .httpd = {.configuration = R"(
<VirtualHost *>
    ServerName inherits.test
    DocumentRoot htdocs
</VirtualHost>
<VirtualHost *>
    ServerName off.test
    DocumentRoot htdocs
    DLHandoff Off
    <Location /on>
        DLHandoff On
        <If "%{QUERY_STRING} == 'off'">
            DLHandoff Off
        </If>
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName sizes.test
    DocumentRoot htdocs
    DLHandoffMinSize 1M
    SetEnvIf Request_URI "^/env" no-dlhandoff
    SetEnvIf Request_URI "^/env-zero" no-dlhandoff=0
    <Location /small>
        DLHandoffMinSize 1K
    </Location>
</VirtualHost>
Alias /on htdocs
Alias /small htdocs
Alias /env-zero htdocs
Alias /env htdocs
<Directory ${ROOT}/htdocs/allowed>
    AllowOverride FileInfo
</Directory>
<Directory ${ROOT}/htdocs/forbidden>
    AllowOverride AuthConfig
</Directory>
<Directory ${ROOT}/htdocs/quiet>
    DLHandoff Off
    <Files "*.iso">
        DLHandoff On
    </Files>
</Directory>
)"}});
    for (const char* folder : {"allowed/off/on", "forbidden", "ignored", "quiet"})
        std::filesystem::create_directories(here.document(folder));
    for (const char* name : {"file", "allowed/file", "allowed/off/file", "allowed/off/on/file",
                             "forbidden/file", "ignored/file", "quiet/file", "quiet/file.iso"})
        here.add_document(name, size);
    here.add_document("large", 2 << 20);
    write_file(here.document("allowed/off/.htaccess"), "DLHandoff Off\n");
    write_file(here.document("allowed/off/on/.htaccess"), "DLHandoff On\nDLHandoffMinSize 100K\n");
    write_file(here.document("forbidden/.htaccess"), "DLHandoff Off\n");
    write_file(here.document("ignored/.htaccess"), "DLHandoff Off\n");
    auto client = here.client();
    const auto expect_note = [&](const std::string& host, const std::string& path, const std::string& note) {
        SCOPED_TRACE(host + path);
        const auto response = client.get(path, {"Host: " + host});
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body_sha256,
                  sha256_of_file(here.document(path.find("large") != std::string::npos ? "large" : "file")));
        EXPECT_EQ(here.httpd().note_of(response.probe), note);
    };
    expect_note("inherits.test", "/file", "claimed");
    // Off is no reason to note: nobody looked at the response.
    expect_note("off.test", "/file", "-");
    expect_note("off.test", "/on/file", "claimed");
    expect_note("off.test", "/on/file?off", "-");
    expect_note("sizes.test", "/file", "declined:min-size");
    expect_note("sizes.test", "/large", "claimed");
    expect_note("sizes.test", "/small/file", "claimed");
    expect_note("sizes.test", "/env/large", "declined:env");
    expect_note("sizes.test", "/env-zero/large", "claimed");
    expect_note("inherits.test", "/allowed/file", "claimed");
    expect_note("inherits.test", "/allowed/off/file", "-");
    expect_note("inherits.test", "/allowed/off/on/file", "claimed");
    expect_note("inherits.test", "/ignored/file", "claimed");
    expect_note("inherits.test", "/quiet/file", "-");
    expect_note("inherits.test", "/quiet/file.iso", "claimed");
    EXPECT_EQ(client.get("/forbidden/file", {"Host: inherits.test"}).status, 500) << "DLHandoff is FileInfo";

    write_file(here.document("allowed/off/.htaccess"), "DLHandoff perhaps\n");
    EXPECT_EQ(client.get("/allowed/off/file", {"Host: inherits.test"}).status, 500);
    EXPECT_NE(here.httpd().error_log().find("DLHandoff: 'perhaps' is not allowed"), std::string::npos);
}

TEST(configuration, server_setting_comes_from_the_last_line_and_off_is_the_default) {
    site here({.how = {"event"}, .handoff = "DLHandoffMinSize 0\n"});
    here.add_document("file", size);
    const auto response = here.client().get("/file");
    EXPECT_EQ(response.body_sha256, sha256_of_file(here.document("file")));
    EXPECT_EQ(here.httpd().note_of(response.probe), "-");
    EXPECT_TRUE(here.transfers().lines().empty());
}

TEST(configuration, loads_beside_debians_usual_modules_and_ssl) {
    site here(
        {.how = {"event"},
         .httpd = {.modules = {"ssl", "socache_shmcb", "status", "autoindex", "negotiation", "deflate",
                               "filter", "access_compat", "auth_basic", "authn_file", "authz_host",
                               "authz_user", "mime_magic", "proxy", "proxy_http", "remoteip", "logio"},
                   .configuration = "AddOutputFilterByType DEFLATE text/html text/plain\n"
                                    "RequestReadTimeout header=20-40,minrate=500 body=20,minrate=500\n"}});
    here.add_document("file", size);
    auto client = here.client();
    here.expect_handed_off(client.get("/file", {"Accept-Encoding: gzip"}), "file");
}

/// Without anything that isn't needed.
TEST(configuration, loads_in_a_bare_httpd) {
    const temporary_directory directory;
    private_httpd server(directory, {.configuration = {}});
    std::string lines = "ServerRoot \"" + directory.path().string() + "\"\nServerName bare.test\nListen " +
                        server.address() + ":" + std::to_string(server.port()) +
                        "\nErrorLog logs/error.log\nPidFile run/httpd.pid\nDefaultRuntimeDir run\n";
    for (const char* mpm : {"prefork", "worker", "event"}) {
        write_file(server.configuration_file(), lines + load_modules({std::string("mpm_") + mpm, "unixd"}) +
                                                    "LoadModule dlhandoff_module \"" MOD_DLHANDOFF
                                                    "\"\nDLHandoff On\n");
        const auto result = server.configtest();
        EXPECT_EQ(result.status, 0) << mpm << ": " << result.output;
    }
}

TEST(configuration, the_error_log_says_which_release_starts_and_no_response_does) {
    site here({});
    here.add_document("file", size);
    const std::string release_said = std::string("mod_dlhandoff ") + release() + " (wire ";
    const auto times_said = [&] {
        const std::string log = here.httpd().error_log();
        std::size_t times = 0;
        for (auto at = log.find(release_said); at != std::string::npos; at = log.find(release_said, at + 1))
            ++times;
        return times;
    };
    EXPECT_EQ(times_said(), 1U) << here.httpd().error_log();
    auto raw = here.connect();
    raw.send(here.get_request("/file", "head"));
    EXPECT_EQ(raw.read_head().find("dlhandoff"), std::string::npos);
    here.httpd().graceful_restart();
    EXPECT_TRUE(eventually([&] { return times_said() == 2; })) << here.httpd().error_log();
}

constexpr const char* shipped_definitions = "Define DOWNLOADS ${ROOT}/htdocs/files\n"
                                            "Define TRANSFER_LOG ${ROOT}/logs/transfers.log\n"
                                            "Define MANAGER_SOCKET ${ROOT}/manager/manager.sock\n";

/// A download through httpd with one of the files that are shipped.
void expect_download(const std::string& file, const std::string& path, bool service,
                     const std::string& limits = {}) {
    SCOPED_TRACE(file);
    const temporary_directory directory;
    std::optional<private_manager> manager;
    if (service) {
        if (limits.empty())
            manager.emplace(directory);
        else
            manager.emplace(directory, read_file(HTTPD_CONF_DIR "/" + limits));
        manager->start();
    }
    private_httpd server(directory, {.modules = {"logio"},
                                     .configuration = shipped_definitions +
                                                      ("Include \"" HTTPD_CONF_DIR "/" + file + "\"\n")});
    directory.make_directory("htdocs/files");
    make_document(directory / "htdocs/files/one.iso", 2'000'000);
    write_file(directory / "htdocs/files/.htaccess", service ? "DLHandoff On\n" : "");
    server.start();
    const auto response = http_client(server).get(path);
    EXPECT_EQ(response.body_sha256, sha256_of_file(directory / "htdocs/files/one.iso"));
    EXPECT_EQ(server.note_of(response.probe), "claimed");
}

TEST(configuration, files_that_are_shipped_work) {
    expect_download("dlhandoff.conf", "/files/one.iso", false);
    expect_download("examples/embedded-downloads.conf", "/downloads/one.iso", false);
    expect_download("examples/service-htaccess.conf", "/downloads/one.iso", true);
    expect_download("examples/mirror.conf", "/mirror/one.iso", true, "examples/mirror.toml");
    expect_download("examples/shop.conf", "/bought/one.iso", true, "examples/shop.toml");
    expect_download("examples/video.conf", "/videos/one.iso", false);
    EXPECT_EQ(read_file(HTTPD_CONF_DIR "/dlhandoff.load").find("LoadModule dlhandoff_module "), 0U);
}

TEST(configuration, every_example_that_is_shipped_loads) {
    const temporary_directory directory;
    private_httpd server(directory, {.configuration = {}});
    unsigned examples = 0;
    for (const auto& example : std::filesystem::directory_iterator(HTTPD_CONF_DIR "/examples")) {
        SCOPED_TRACE(example.path());
        if (example.path().extension() != ".conf")
            continue;
        ++examples;
        server.reconfigure(shipped_definitions + ("Include \"" + example.path().string() + "\"\n"));
        const auto tried = server.configtest();
        EXPECT_EQ(tried.status, 0) << tried.output;
    }
    EXPECT_GE(examples, 5U);
}

} // namespace
} // namespace dlhandoff::test
