// A real browser: what it downloads over HTTPS, and how it plays a video.
#include "tests/integration/browser.hpp"
#include "tests/integration/interop_results.hpp"
#include "tests/integration/tls_suites.hpp"

#include <algorithm>
#include <sstream>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;

#define NEEDS_BROWSER NEEDS_PROGRAM(browser::program, "chromium")

/// What every page here begins with.
constexpr const char* reporting = R"(<!doctype html><meta charset="utf-8"><title>test</title>
<script>
const report = (name, value) => fetch('/report?' + name + '=' + value, {cache: 'no-store'});
const digest = async bytes => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),
    byte => byte.toString(16).padStart(2, '0')).join('');
const download = async url => digest(await (await fetch(url, {cache: 'no-store'})).arrayBuffer());
onerror = onunhandledrejection = event => report('error', encodeURIComponent(event.reason || event));
</script>
)";

/// A browser's requests are told apart by their query.
constexpr const char* query_is_probe = "RequestHeader set X-Probe expr=%{QUERY_STRING}\n"
                                       "Header set Access-Control-Allow-Origin *\n";

constexpr const char* tagged_with_query = "DLHandoff On\nDLHandoffTag %{QUERY_STRING}\n";

TEST(interop_browser, downloads_over_every_suite) {
    NEEDS_BROWSER;
    std::string configuration = query_is_probe + suite_hosts();
    site here({.httpd = {.modules = {"http2"}, .configuration = configuration},
               .handoff = tagged_with_query,
               .https = "Protocols h2 http/1.1\n"});
    here.add_document("file", 50 * megabyte);
    const std::string base = "https://" + here.httpd().address() + ':';
    std::ostringstream page;
    page << reporting << "<script>(async () => {\n";
    for (std::size_t i = 0; i < tls_suites.size(); ++i)
        page << "await report('suite" << i << "', await download('" << base << suite_port(i) << "/file?suite"
             << i << "'));\n";
    page << "await report('http2', await download('/file?http2'));\n})()</script>\n";
    write_file(here.document("page.html"), page.str());

    browser chromium(here, base + std::to_string(https_port) + "/page.html");
    const std::string expected = sha256_of_file(here.document("file"));
    interop_results results(client_version(browser::program));
    for (std::size_t i = 0; i < tls_suites.size(); ++i) {
        const tls_suite_choice& suite = tls_suites[i];
        SCOPED_TRACE(suite.name);
        const std::string probe = "suite" + std::to_string(i);
        const auto found = chromium.reported(probe);
        ASSERT_TRUE(found) << chromium.reported("error", 0s).value_or(chromium.messages());
        EXPECT_EQ(*found, expected);
        const std::string note = here.httpd().note_of(probe);
        EXPECT_EQ(note, suite.logged != nullptr ? "claimed" : "declined:tls-suite");
        results.add_suite(suite.name, note, *found == expected);
        if (suite.logged == nullptr)
            continue;
        const auto transfer = here.transfers().transfer(probe);
        ASSERT_TRUE(transfer) << read_file(here.directory() / "logs/transfers.log");
        EXPECT_EQ(transfer->value("tls", ""), suite.logged);
        EXPECT_EQ(transfer->value("outcome", ""), "complete");
    }
    EXPECT_EQ(chromium.reported("http2"), expected);
    const std::string note = here.httpd().note_of("http2");
    EXPECT_EQ(note, "declined:http2");
    results.add("HTTP/2", note, note == "declined:http2");
}

} // namespace
} // namespace dlhandoff::test
