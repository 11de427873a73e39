// A real browser: what it downloads over HTTPS, and how it plays a video.
#include "tests/integration/harness/tls_suites.hpp"
#include "tests/integration/interop/browser.hpp"
#include "tests/integration/interop/interop_results.hpp"

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

/// Makes a video of 100 s and puts it to /media/video.webm: a canvas's WebP images are VP8's key frames (RFC
/// 9649, 2.5), which are put into WebM here (RFC 9559; Matroska's element IDs). 10 frames a cluster and
/// second, 20 MB and more, so that a browser doesn't fetch it ahead as a whole.
constexpr const char* make_video = R"(<script>
const bytes = (...parts) => {
    const arrays = parts.map(part => typeof part === 'string' ? new TextEncoder().encode(part) : Uint8Array.from(part));
    const all = new Uint8Array(arrays.reduce((sum, one) => sum + one.length, 0));
    arrays.reduce((at, one) => (all.set(one, at), at + one.length), 0);
    return all;
};
const number = (value, size) => Array.from({length: size}, (_, i) => Math.floor(value / 2 ** (8 * (size - 1 - i))) & 255);
const element = (id, ...content) => {
    const body = bytes(...content);
    return bytes(id, [1], number(body.length, 7), body);
};
const unsigned = (id, value) => element(id, number(value, 4));
const float = (id, value) => element(id, new Uint8Array(new Float64Array([value]).buffer).reverse());

const key_frame = async (context, width, height) => {
    const image = context.createImageData(width, height);
    for (let i = 0; i < image.data.length; ++i)
        image.data[i] = i % 4 === 3 ? 255 : Math.random() * 255;
    context.putImageData(image, 0, 0);
    const webp = await new Promise(done => context.canvas.toBlob(done, 'image/webp', 0.5));
    const chunks = new Uint8Array(await webp.arrayBuffer());
    const view = new DataView(chunks.buffer);
    for (let at = 12; ; at += 8 + view.getUint32(at + 4, true) + view.getUint32(at + 4, true) % 2)
        if (view.getUint32(at) === 0x56503820) // "VP8 "
            return chunks.slice(at + 8, at + 8 + view.getUint32(at + 4, true));
};

const make_video = async () => {
    const [width, height, seconds] = [320, 240, 100];
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const context = canvas.getContext('2d', {alpha: false});
    const frames = [];
    for (let i = 0; i < 10; ++i)
        frames.push(await key_frame(context, width, height));
    const cluster = second => element([0x1f, 0x43, 0xb6, 0x75], unsigned([0xe7], second * 1000),
        ...frames.map((frame, i) => element([0xa3], [0x81], number(i * 100, 2), [0x80], frame)));
    const information = element([0x15, 0x49, 0xa9, 0x66], unsigned([0x2a, 0xd7, 0xb1], 1e6),
        float([0x44, 0x89], seconds * 1000), element([0x4d, 0x80], 'test'), element([0x57, 0x41], 'test'));
    const tracks = element([0x16, 0x54, 0xae, 0x6b], element([0xae], unsigned([0xd7], 1), unsigned([0x73, 0xc5], 1),
        unsigned([0x83], 1), element([0x86], 'V_VP8'), element([0xe0], unsigned([0xb0], width), unsigned([0xba], height))));
    const size = cluster(0).length;
    const cues = first => element([0x1c, 0x53, 0xbb, 0x6b], ...Array.from({length: seconds}, (_, second) =>
        element([0xbb], unsigned([0xb3], second * 1000), element([0xb7], unsigned([0xf7], 1), unsigned([0xf1], first + second * size)))));
    const first = information.length + tracks.length + cues(0).length;
    return new Blob([element([0x1a, 0x45, 0xdf, 0xa3], unsigned([0x42, 0x86], 1), unsigned([0x42, 0xf7], 1),
        unsigned([0x42, 0xf2], 4), unsigned([0x42, 0xf3], 8), element([0x42, 0x82], 'webm'),
        unsigned([0x42, 0x87], 2), unsigned([0x42, 0x85], 2)),
        element([0x18, 0x53, 0x80, 0x67], information, tracks, cues(first), ...Array.from({length: seconds}, (_, second) => cluster(second)))]);
};
</script>
)";

/// Plays it from its beginning, and from wherever the user would click.
constexpr const char* play_video = R"(<video id="player" muted></video>
<script>
const player = document.getElementById('player');
const once = name => new Promise(done => player.addEventListener(name, done, {once: true}));
(async () => {
    const stored = await fetch('/media/video.webm', {method: 'PUT', body: await make_video()});
    await report('stored', stored.status);
    player.src = '/media/video.webm?media';
    await player.play();
    report('duration', player.duration);
    for (const place of [50, 90, 20]) {
        const seeked = once('seeked');
        player.currentTime = place;
        await seeked;
        while (player.currentTime < place + 0.2)
            await once('timeupdate');
        report('played' + place, player.error === null && player.videoWidth === 320);
    }
})()
</script>
)";

TEST(interop_browser, plays_a_video_and_seeks) {
    NEEDS_BROWSER;
    site here({.httpd = {.modules = {"dav", "dav_fs"},
                         .configuration = std::string(query_is_probe) +
                                          "AddType video/webm .webm\nDavLockDB ${ROOT}/htdocs/media/locks\n"
                                          "<Location /media>\nDav On\n</Location>\n"
                                          "LogFormat \"%m %U %{Range}i %>s %{remote}p %{dlhandoff}n\" media\n"
                                          "CustomLog logs/media.log media\n"},
               .handoff = tagged_with_query});
    here.directory().make_directory("htdocs/media", true);
    write_file(here.document("page.html"), std::string(reporting) + make_video + play_video);
    browser chromium(here, here.httpd().url("/page.html"));
    interop_results results(client_version(browser::program));
    EXPECT_EQ(chromium.reported("stored"), "201")
        << chromium.reported("error", 0s).value_or(chromium.messages());
    EXPECT_EQ(chromium.reported("duration"), "100");
    bool right = true;
    for (const char* const place : {"played50", "played90", "played20"}) {
        const auto played = chromium.reported(place);
        EXPECT_EQ(played, "true") << place << ' ' << chromium.reported("error", 0s).value_or("");
        right = right && played == "true";
    }
    // Every part was asked for as a range, and handed off.
    std::set<std::string> connections;
    int ranges = 0;
    std::istringstream lines(read_file(here.directory() / "logs/media.log"));
    for (std::string method, path, range, status, port, note;
         lines >> method >> path >> range >> status >> port >> note;) {
        connections.insert(port);
        if (method != "GET" || path != "/media/video.webm")
            continue;
        ++ranges;
        EXPECT_TRUE(range.starts_with("bytes=")) << range;
        EXPECT_EQ(status, "206");
        EXPECT_EQ(note, "claimed") << range;
        right = right && status == "206" && note == "claimed";
    }
    EXPECT_GE(ranges, 3);
    // A player that wants no more of a range closes that connection: one for each range at most, and a few
    // for the page, its video and its reports.
    EXPECT_LE(static_cast<int>(connections.size()), ranges + 6);
    results.add("a video, played and seeked, over plain HTTP", "claimed", right);
    if (HasFailure())
        std::cerr << read_file(here.directory() / "logs/media.log");
}

} // namespace
} // namespace dlhandoff::test
