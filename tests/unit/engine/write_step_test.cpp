#include "engine/write_step.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using engine::step_of_write_error;
using engine::write_step;

TEST(write_step, tells_a_full_socket_from_a_client_that_is_gone_and_from_a_fault_of_ours) {
    EXPECT_EQ(step_of_write_error(EAGAIN), write_step::would_block);
    for (const int gone : {EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETDOWN})
        EXPECT_EQ(step_of_write_error(gone), write_step::client_gone) << gone;
    for (const int ours : {EIO, ENOMEM, EINVAL, EBADMSG, EBADF, EOVERFLOW})
        EXPECT_EQ(step_of_write_error(ours), write_step::failed) << ours;
}

} // namespace
} // namespace dlhandoff::test
