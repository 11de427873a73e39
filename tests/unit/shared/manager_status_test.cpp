#include "shared/manager_status.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <new>

namespace dlhandoff::test {
namespace {

TEST(manager_status, is_as_new_memory_once_it_is_cleared) {
    alignas(manager_status) unsigned char fresh[sizeof(manager_status)]{};
    alignas(manager_status) unsigned char used[sizeof(manager_status)];
    auto* const as_new = new (fresh) manager_status;
    std::memset(used, 0, sizeof used);
    auto* const status = new (used) manager_status;
    status->pid = 1;
    status->state = manager_state::live;
    status->room = room_level::plenty;
    status->heartbeat = 1;
    status->load = 2;
    status->descriptors_used = 3;
    status->descriptors_limit = 4;
    status->counters.connections = 5;
    status->counters.active = 6;
    status->counters.bytes = 7;
    status->counters.refusals[0] = 8;
    clear(*status);
    EXPECT_EQ(status->state.load(), manager_state::vacant);
    EXPECT_EQ(status->pid.load(), as_new->pid.load());
    EXPECT_EQ(status->room.load(), room_level::none);
    EXPECT_EQ(status->heartbeat.load(), 0U);
    EXPECT_EQ(status->load.load(), 0U);
    EXPECT_EQ(status->descriptors_used.load(), 0U);
    EXPECT_EQ(status->descriptors_limit.load(), 0U);
    EXPECT_EQ(status->counters.connections.load(), 0U);
    EXPECT_EQ(status->counters.active.load(), 0U);
    EXPECT_EQ(status->counters.bytes.load(), 0U);
    EXPECT_EQ(status->counters.refusals[0].load(), 0U);
}

} // namespace
} // namespace dlhandoff::test
