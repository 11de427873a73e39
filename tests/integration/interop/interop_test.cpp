// Downloads over HTTPS by the client programs that people use, over every cipher suite.
#include "tests/integration/harness/site.hpp"
#include "tests/integration/harness/tls_suites.hpp"
#include "tests/integration/interop/client_program.hpp"
#include "tests/integration/interop/interop_results.hpp"

#include <algorithm>
#include <array>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;

/// One download: from where, and into which file.
struct task {
    std::string address;
    std::uint16_t port;
    std::string probe;
    std::string into;

    [[nodiscard]] std::string url() const {
        return "https://" + address + ':' + std::to_string(port) + "/file";
    }
    [[nodiscard]] std::string probe_field() const { return "X-Probe: " + probe; }
    [[nodiscard]] std::string request() const {
        return "GET /file HTTP/1.1\r\nHost: main.test\r\n" + probe_field() + "\r\n\r\n";
    }
};

/// A client program and how it is told to download; the exit status and what it said.
struct client {
    const char* program;
    const char* package;
    command_result (*fetch)(const task& what);
    std::uint64_t size; ///< of its document: what it takes in a moment
    bool several_connections = false;
};
void PrintTo(const client& one, std::ostream* out) {
    *out << one.program;
}

command_result with_curl(const task& what) {
    return run_client({"curl", "--silent", "--show-error", "--noproxy", "*", "--insecure", "--http1.1",
                       "--header", what.probe_field(), "--output", what.into, what.url()});
}

command_result with_wget(const task& what) {
    return run_client({"wget", "--quiet", "--no-config", "--no-proxy", "--tries=1", "--no-check-certificate",
                       "--header=" + what.probe_field(), "--output-document=" + what.into, what.url()});
}

/// Eight ranges at the same time, each over a connection of its own; slowed down, or the first one could have
/// it all before the others begin.
command_result with_aria2c(const task& what) {
    const std::filesystem::path into(what.into);
    return run_client({"aria2c", "-x8", "-s8", "-k1M", "--max-download-limit=20M", "--no-conf", "--quiet",
                       "--all-proxy=", "--max-tries=1", "--check-certificate=false", "--file-allocation=none",
                       "--allow-overwrite=true", "--auto-file-renaming=false",
                       "--header=" + what.probe_field(), "--dir=" + into.parent_path().string(),
                       "--out=" + into.filename().string(), what.url()});
}

/// Programs that only carry bytes: the request is typed, the response taken apart here.
command_result converse(interactive_client& program, const task& what) {
    program.io().send(what.request());
    std::string all = program.io().read_to_end(60s);
    const auto begin = all.find("HTTP/1.1 200 ");
    const auto body = all.find("\r\n\r\n", begin);
    if (begin == std::string::npos || body == std::string::npos)
        return {-1, "no response in: " + all.substr(0, 4096) + program.messages()};
    write_file(what.into, all.substr(body + 4));
    return {program.exit_status(), program.messages()};
}

command_result with_s_client(const task& what) {
    interactive_client program(
        {"openssl", "s_client", "-quiet", "-connect", what.address + ':' + std::to_string(what.port)});
    return converse(program, what);
}

command_result with_gnutls_cli(const task& what) {
    interactive_client program({"gnutls-cli", "--no-ca-verification", "--logfile=/dev/null", "--port",
                                std::to_string(what.port), what.address});
    return converse(program, what);
}

const std::array clients{client{"curl", "curl", &with_curl, 10 * megabyte + 13},
                         client{"wget", "wget", &with_wget, 10 * megabyte + 13},
                         client{"aria2c", "aria2", &with_aria2c, 10 * megabyte + 13, true},
                         client{"openssl", "openssl", &with_s_client, megabyte + 13},
                         client{"gnutls-cli", "gnutls-bin", &with_gnutls_cli, 200'013}};

/// aria2c asks for the last few bytes alone, too: they are to be handed off like the others.
constexpr const char* all_sizes = "DLHandoff On\nDLHandoffMinSize 0\nDLHandoffTag %{HTTP:X-Probe}\n";

/// Of the running test, so far.
int failures() {
    return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

/// Expects this note of the requests. A client of several connections leaves those whose next range another
/// one has taken meanwhile, now and then before httpd has got to the request.
void expect_notes(site& here, const std::string& probe, const std::string& note, bool several_connections) {
    const std::size_t requests = several_connections ? 3 : 1;
    std::vector<std::string> notes;
    EXPECT_TRUE(eventually([&] {
        notes = here.httpd().notes_of(probe);
        return static_cast<std::size_t>(std::ranges::count(notes, note)) >= requests;
    })) << ::testing::PrintToString(notes);
    for (const std::string& one : notes)
        if (!several_connections || (one != "declined:client-gone" && one != "declined:not-connected")) {
            EXPECT_EQ(one, note);
        }
}

/// Downloads the document from this port, and compares everything; httpd's note.
std::string download(site& here, const client& by, std::uint16_t port, const char* logged) {
    const task what{here.httpd().address(), port, new_probe(), here.directory() / "downloaded"};
    const command_result result = by.fetch(what);
    EXPECT_EQ(result.status, 0) << result.output;
    std::error_code missing;
    if (std::filesystem::file_size(what.into, missing) != std::filesystem::file_size(here.document("file"))) {
        ADD_FAILURE() << "downloaded " << std::filesystem::file_size(what.into, missing) << " bytes";
    } else {
        EXPECT_EQ(sha256_of_file(what.into), sha256_of_file(here.document("file")));
    }
    std::filesystem::remove(what.into, missing);
    const std::string note = logged != nullptr ? "claimed" : "declined:tls-suite";
    expect_notes(here, what.probe, note, by.several_connections);
    if (logged == nullptr)
        return note;
    const auto transfer = here.transfers().transfer(what.probe);
    if (!transfer) {
        ADD_FAILURE() << "not in the transfer log";
        return note;
    }
    EXPECT_EQ(transfer->value("tls", ""), logged);
    // aria2c goes away from a connection whose next range another one has taken. wget closes as soon as it
    // has the whole file; with close_notify unread, its kernel resets the connection before it has
    // acknowledged all.
    if (!by.several_connections && std::string_view(by.program) != "wget") {
        EXPECT_EQ(transfer->value("outcome", ""), "complete");
        EXPECT_EQ(transfer->value("delivered", 0ULL), transfer->value("expected", 1ULL));
    }
    return note;
}

class interop : public ::testing::TestWithParam<client> {};
INSTANTIATE_TEST_SUITE_P(of, interop, ::testing::ValuesIn(clients), [](const auto& one) {
    std::string name = one.param.program;
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST_P(interop, downloads_over_every_suite) {
    const client& by = GetParam();
    NEEDS_PROGRAM(by.program, by.package);
    site here({.httpd = {.configuration = suite_hosts()}, .handoff = all_sizes, .https = ""});
    here.add_document("file", by.size);
    interop_results results(client_version(by.program));
    for (std::size_t i = 0; i < tls_suites.size(); ++i) {
        SCOPED_TRACE(tls_suites[i].name);
        const int failed = failures();
        const std::string note = download(here, by, suite_port(i), tls_suites[i].logged);
        results.add_suite(tls_suites[i].name, note, failures() == failed);
    }
}

class interop_setups : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(interop_setups, EVERY_SETUP);

TEST_P(interop_setups, every_client_downloads) {
    site here({.how = GetParam(), .handoff = all_sizes, .https = ""});
    for (const client& by : clients) {
        SCOPED_TRACE(by.program);
        if (find_program(by.program).empty())
            continue;
        here.add_document("file", by.size);
        (void)download(here, by, https_port, "TLSv1.3 TLS_AES_256_GCM_SHA384 user");
    }
}

} // namespace
} // namespace dlhandoff::test
