#include "dlmanagerd/manager/manager_channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;

class manager_channel : public ::testing::Test {
  protected:
    channel_ends ends = make_channel();
    received_message buffer;
    bool gone = false;
};

TEST_F(manager_channel, passes_a_session_on_with_its_user) {
    const file_descriptor session(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(send_order(ends.supervisor.get(), {order::kind::session, {1, 2, 3}, {}}, session.get()),
              send_result::sent);
    const auto got = receive_order(ends.manager.get(), buffer, gone);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->what.what, order::kind::session);
    EXPECT_EQ(got->what.peer.pid, 1);
    EXPECT_EQ(got->what.peer.uid, 2u);
    struct stat sent {};
    struct stat received {};
    ASSERT_EQ(::fstat(session.get(), &sent), 0);
    ASSERT_EQ(::fstat(got->descriptor.get(), &received), 0);
    EXPECT_EQ(sent.st_rdev, received.st_rdev);
    EXPECT_NE(::fcntl(got->descriptor.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(manager_channel, keeps_the_order_of_orders) {
    EXPECT_EQ(send_order(ends.supervisor.get(), {order::kind::reload, {}, {}}), send_result::sent);
    EXPECT_EQ(send_order(ends.supervisor.get(), {order::kind::drain, {}, 1500ms}), send_result::sent);
    EXPECT_EQ(receive_order(ends.manager.get(), buffer, gone)->what.what, order::kind::reload);
    const auto second = receive_order(ends.manager.get(), buffer, gone);
    EXPECT_EQ(second->what.what, order::kind::drain);
    EXPECT_EQ(second->what.most, 1500ms);
    EXPECT_FALSE(second->descriptor);
    EXPECT_FALSE(receive_order(ends.manager.get(), buffer, gone));
    EXPECT_FALSE(gone);
}

TEST_F(manager_channel, carries_notes_back) {
    EXPECT_EQ(send_note(ends.manager.get(), note::room), send_result::sent);
    EXPECT_EQ(receive_note(ends.supervisor.get(), buffer, gone), note::room);
    EXPECT_EQ(receive_note(ends.supervisor.get(), buffer, gone), std::nullopt);
    EXPECT_FALSE(gone);
}

TEST_F(manager_channel, tells_when_the_other_end_is_gone_after_what_it_said) {
    EXPECT_EQ(send_note(ends.manager.get(), note::live), send_result::sent);
    ends.manager.reset();
    EXPECT_EQ(receive_note(ends.supervisor.get(), buffer, gone), note::live);
    EXPECT_FALSE(gone);
    EXPECT_EQ(receive_note(ends.supervisor.get(), buffer, gone), std::nullopt);
    EXPECT_TRUE(gone);
    EXPECT_EQ(send_order(ends.supervisor.get(), {}), send_result::peer_gone);
}

TEST_F(manager_channel, says_when_it_is_full) {
    send_result last = send_result::sent;
    int sent = 0;
    while (last == send_result::sent && sent < 100'000) {
        last = send_order(ends.supervisor.get(), {order::kind::reload, {}, {}});
        ++sent;
    }
    EXPECT_EQ(last, send_result::would_block);
    EXPECT_GT(sent, 10);
}

TEST_F(manager_channel, takes_what_is_no_order_for_the_end) {
    ASSERT_EQ(::write(ends.supervisor.get(), "garbage", 7), 7);
    EXPECT_FALSE(receive_order(ends.manager.get(), buffer, gone));
    EXPECT_TRUE(gone);
}

} // namespace
} // namespace dlhandoff::service
