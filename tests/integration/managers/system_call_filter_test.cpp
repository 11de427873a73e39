// Behind a filter of system calls, as a container or systemd's SystemCallFilter has.
#include "tests/integration/harness/site.hpp"
#include "tests/unit/engine/files/refused_system_call.hpp"

namespace dlhandoff::test {
namespace {

class system_call_filter : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(system_call_filter, setup{"event"}, setup{"event", true});

TEST_P(system_call_filter, that_refuses_cachestat_is_said_once_and_costs_no_download) {
    if (!refuse_system_call(cachestat_number)) // of this test, too: it has a process of its own in ctest
        GTEST_SKIP() << "this kernel has no seccomp filters";
    site here({.how = GetParam()});
    here.add_document("file", 3'000'000);
    for (int i = 0; i < 3; ++i)
        here.expect_handed_off(here.client().get("/file"), "file");
    const std::string log = GetParam().service ? here.manager().output() : here.httpd().error_log();
    const std::string wanted = "a filter of system calls refuses cachestat(2) (Operation not permitted)";
    const auto first = log.find(wanted);
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(log.find(wanted, first + 1), std::string::npos);
}

} // namespace
} // namespace dlhandoff::test
