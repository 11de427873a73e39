// What is set for a directory about its files' reading arrives in the offer: from server, virtual host,
// directory and .htaccess.
#include "tests/integration/harness/fake_manager.hpp"
#include "tests/integration/harness/site.hpp"

#include <filesystem>
#include <mutex>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

TEST(reading_terms, are_merged_from_server_to_directory_and_htaccess) {
    site here({.how = {"event", true},
               .httpd = {.configuration = R"(
DLHandoffFileCheck mtime
<VirtualHost *>
    ServerName inherits.test
    DocumentRoot htdocs
</VirtualHost>
<VirtualHost *>
    ServerName sizes.test
    DocumentRoot htdocs
    DLHandoffFileCheck size
    EnableSendfile On
    <Location /strict>
        DLHandoffFileCheck MTIME
        EnableSendfile Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName copies.test
    DocumentRoot htdocs
    EnableSendfile Off
</VirtualHost>
<Directory ${ROOT}/htdocs/own>
    AllowOverride FileInfo
</Directory>
)"},
               .start_manager = false});
    for (const char* folder : {"own", "strict"}) {
        std::filesystem::create_directories(here.document(folder));
        here.add_document(std::string(folder) + "/file", size);
    }
    here.add_document("file", size);
    write_file(here.document("own/.htaccess"), "DLHandoffFileCheck size\nEnableSendfile Off\n");

    std::mutex mutex;
    reading_terms last;
    const fake_manager fake(here.manager().socket(), [&](auto& peer) {
        peer.say_hello();
        while (const auto one = peer.next_offer()) {
            {
                const std::lock_guard lock(mutex);
                last = one->what.reading();
            }
            if (!peer.claim(*one))
                continue;
            peer.answer(*one, true);
            peer.send_response(*one);
        }
    });
    auto client = here.client();
    const auto terms_of = [&](const std::string& host, const std::string& path) {
        const auto response = client.get(path, {"Host: " + host, "Connection: close"});
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(here.httpd().note_of(response.probe), "claimed") << host << path;
        const std::lock_guard lock(mutex);
        return last;
    };
    EXPECT_EQ(terms_of("inherits.test", "/file"), (reading_terms{file_check::mtime, true}));
    EXPECT_EQ(terms_of("sizes.test", "/file"), (reading_terms{file_check::size, true}));
    EXPECT_EQ(terms_of("sizes.test", "/strict/file"), (reading_terms{file_check::mtime, false}));
    EXPECT_EQ(terms_of("copies.test", "/file"), (reading_terms{file_check::mtime, false}));
    EXPECT_EQ(terms_of("inherits.test", "/own/file"), (reading_terms{file_check::size, false}));
}

} // namespace
} // namespace dlhandoff::test
