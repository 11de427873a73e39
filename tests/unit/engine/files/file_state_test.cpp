#include "engine/files/file_state.hpp"

#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::file_state;
using engine::state_of;

struct file_state_test : testing::Test {
    [[nodiscard]] file_state by(file_check check) const { return state_of(opened.get(), offered, check); }

    const sample_file file{1000};
    const file_identity offered = file.identity();
    const file_descriptor opened = file.open();
};

TEST_F(file_state_test, a_file_to_which_nothing_happens_is_as_offered) {
    EXPECT_EQ(by(file_check::size), file_state::as_offered);
    EXPECT_EQ(by(file_check::mtime), file_state::as_offered);
}

TEST_F(file_state_test, growth_is_no_change) {
    file.append("x");
    EXPECT_EQ(by(file_check::size), file_state::as_offered);
    EXPECT_EQ(by(file_check::mtime), file_state::as_offered);
}

TEST_F(file_state_test, another_time_is_one_if_asked_for) {
    file.touch();
    EXPECT_EQ(by(file_check::size), file_state::as_offered);
    EXPECT_EQ(by(file_check::mtime), file_state::changed);
}

TEST_F(file_state_test, a_file_that_got_shorter_has_changed) {
    file.shorten(999);
    EXPECT_EQ(by(file_check::size), file_state::changed);
    EXPECT_EQ(by(file_check::mtime), file_state::changed);
}

TEST_F(file_state_test, an_unlinked_file_is_as_offered) {
    ASSERT_EQ(::unlink(file.path().c_str()), 0); // the open file is the same, whatever its name means now
    EXPECT_EQ(by(file_check::size), file_state::as_offered);
    EXPECT_EQ(by(file_check::mtime), file_state::as_offered);
}

TEST_F(file_state_test, times_that_drift_are_a_change_only_if_asked_for) {
    MOUNT_FAULTY_DISK(disk);
    const file_descriptor drifting(::open((disk / faulty_disk::drifting).c_str(), O_RDONLY | O_CLOEXEC));
    const file_identity then{1, 2, faulty_disk::file_size, 1'700'000'000'000'000'000};
    EXPECT_EQ(state_of(drifting.get(), then, file_check::size), file_state::as_offered);
    EXPECT_EQ(state_of(drifting.get(), then, file_check::mtime), file_state::changed);
}

TEST_F(file_state_test, what_the_system_does_not_tell_is_unreadable) {
    EXPECT_EQ(state_of(-1, offered, file_check::size), file_state::unreadable);
    EXPECT_EQ(errno, EBADF);
}

} // namespace
} // namespace dlhandoff::test
