#include "engine/client/write_error.hpp"

#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

using engine::classify_write_error;
using engine::write_error;

TEST(write_error, tells_a_full_socket_from_a_client_that_is_gone_and_from_a_fault_of_ours) {
    EXPECT_EQ(classify_write_error(EAGAIN), write_error::again);
    for (const int gone : {EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETDOWN})
        EXPECT_EQ(classify_write_error(gone), write_error::client_gone) << gone;
    for (const int ours : {EIO, ENOMEM, EINVAL, EBADMSG, EBADF, EOVERFLOW})
        EXPECT_EQ(classify_write_error(ours), write_error::other) << ours;
}

} // namespace
} // namespace dlhandoff::test
