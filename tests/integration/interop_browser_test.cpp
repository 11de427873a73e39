// A real browser: what it downloads over HTTPS, and how it plays a video.
#include "tests/integration/browser.hpp"
#include "tests/integration/interop_results.hpp"
#include "tests/integration/tls_suites.hpp"

#include <set>
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

/// A WAV file of noise (RIFF: 8 bits, mono, 100,000 samples a second). Ten minutes are 60 MB, more than a
/// browser fetches ahead. To its player it is a video without pictures.
void make_audio(const std::string& path, std::uint32_t seconds) {
    constexpr std::uint32_t rate = 100'000;
    const std::uint32_t bytes = rate * seconds;
    const auto number = [](std::uint32_t value, int size) {
        std::string text;
        for (int i = 0; i < size; ++i)
            text += static_cast<char>(value >> 8 * i);
        return text;
    };
    write_file(path, "RIFF" + number(36 + bytes, 4) + "WAVEfmt " + number(16, 4) + number(1, 2) +
                         number(1, 2) + number(rate, 4) + number(rate, 4) + number(1, 2) + number(8, 2) +
                         "data" + number(bytes, 4) + sequence_bytes(0, bytes));
}

/// What a browser's media player does: a range from where the user has clicked, and no more of the one
/// before.
TEST(interop_browser, plays_and_seeks) {
    NEEDS_BROWSER;
    site here({.httpd = {.configuration = std::string(query_is_probe) + "AddType audio/wav .wav\n" +
                                          "LogFormat \"%U %{Range}i %>s %{remote}p %{dlhandoff}n\" media\n"
                                          "CustomLog logs/media.log media\n"},
               .handoff = tagged_with_query});
    make_audio(here.document("media.wav"), 600);
    write_file(here.document("page.html"), std::string(reporting) + R"(
<video id="player" muted src="/media.wav?media"></video>
<script>
const player = document.getElementById('player');
const once = name => new Promise(done => player.addEventListener(name, done, {once: true}));
(async () => {
    await player.play();
    report('duration', player.duration);
    for (const place of [300, 500, 100]) {
        const seeked = once('seeked');
        player.currentTime = place;
        await seeked;
        while (player.currentTime < place + 0.2)
            await once('timeupdate');
        report('played' + place, player.error === null);
    }
})()
</script>
)");
    browser chromium(here, here.httpd().url("/page.html"));
    interop_results results(client_version(browser::program));
    EXPECT_EQ(chromium.reported("duration"), "600");
    bool right = true;
    for (const char* const place : {"played300", "played500", "played100"}) {
        const auto played = chromium.reported(place);
        EXPECT_EQ(played, "true") << place << ' '
                                  << chromium.reported("error", 0s).value_or(chromium.messages());
        right = right && played == "true";
    }
    // Every part of the file was asked for as a range, and handed off; over how many connections?
    std::set<std::string> connections;
    int ranges = 0;
    std::istringstream lines(read_file(here.directory() / "logs/media.log"));
    for (std::string path, range, status, port, note; lines >> path >> range >> status >> port >> note;) {
        connections.insert(port);
        if (path != "/media.wav")
            continue;
        ++ranges;
        EXPECT_TRUE(range.starts_with("bytes=")) << range;
        EXPECT_EQ(status, "206");
        EXPECT_EQ(note, "claimed") << range;
        right = right && status == "206" && note == "claimed";
    }
    EXPECT_GE(ranges, 4);
    // A player that leaves a range in the middle closes that connection: so one for each range, the page and
    // its reports at most.
    EXPECT_LE(static_cast<int>(connections.size()), ranges + 6);
    results.add("plays and seeks over plain HTTP", "claimed", right);
}

} // namespace
} // namespace dlhandoff::test
