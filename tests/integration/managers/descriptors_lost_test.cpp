// Descriptors that the kernel has not passed on: at a limit, or because a security module said no.
#include "tests/integration/harness/fake_manager.hpp"
#include "tests/integration/harness/site.hpp"

namespace dlhandoff::test {
namespace {

TEST(descriptors_lost, names_its_possible_causes) {
    site here({.how = {"event", true}, .start_manager = false});
    here.add_document("file", 300'000);
    const fake_manager fake(here.manager().socket(), [](auto& peer) {
        peer.say_hello();
        while (const auto offer = peer.next_offer())
            peer.answer(*offer, false, refusal::descriptors_lost);
    });
    here.expect_served(here.client().get("/file"), "file", "descriptors-lost");
    const std::string log = here.httpd().error_log();
    const auto said = log.find("(descriptors-lost)");
    ASSERT_NE(said, std::string::npos) << log;
    const auto begin = log.rfind('\n', said);
    const std::string line = log.substr(begin + 1, log.find('\n', said) - begin - 1);
    for (const char* cause : {"LimitNOFILE", "SELinux", "AppArmor"})
        EXPECT_NE(line.find(cause), std::string::npos) << line;
}

} // namespace
} // namespace dlhandoff::test
