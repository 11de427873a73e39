#include "dlmanagerd/engine/residency.hpp"

#include "download.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::residency_probe;

constexpr std::size_t size = 1'000'000;
constexpr uid_t nobody = 65534;

/// While it lives, this thread has the file rights of nobody (setfsuid(2)), if it was root's.
class unprivileged {
  public:
    unprivileged() : before_(static_cast<uid_t>(::setfsuid(nobody))) {}
    ~unprivileged() { ::setfsuid(before_); }
    unprivileged(const unprivileged&) = delete;
    unprivileged& operator=(const unprivileged&) = delete;

  private:
    uid_t before_;
};

/// A file on a disk, open for reading only; for both who may write it, whom cachestat(2) tells, and others.
class residency_test : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        struct statfs status {};
        ASSERT_EQ(::fstatfs(opened_.get(), &status), 0);
        if (status.f_type == TMPFS_MAGIC)
            GTEST_SKIP() << "/var/tmp is in memory";
        // No kernel read-ahead, so that the test decides what is in the cache.
        ASSERT_EQ(::posix_fadvise(opened_.get(), 0, 0, POSIX_FADV_RANDOM), 0);
        if (GetParam()) {
            if (::geteuid() != 0)
                GTEST_SKIP() << "only root can have another user's rights";
            as_nobody_.emplace();
        }
        probe_ = residency_probe(opened_.get());
    }

    void make_cold() const { ASSERT_EQ(::posix_fadvise(opened_.get(), 0, 0, POSIX_FADV_DONTNEED), 0); }
    void read(std::size_t offset, std::size_t length) const {
        std::vector<char> buffer(length);
        ASSERT_EQ(::pread(opened_.get(), buffer.data(), length, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(length));
    }
    [[nodiscard]] bool cached(std::uint64_t offset, std::uint64_t length) {
        return probe_.cached(opened_.get(), offset, length);
    }

    const sample_file file_{size};
    const file_descriptor opened_ = file_.open();
    std::optional<unprivileged> as_nobody_;
    residency_probe probe_;
};

TEST_P(residency_test, what_was_dropped_from_the_cache_is_cold) {
    make_cold();
    EXPECT_FALSE(cached(0, size));
    EXPECT_FALSE(cached(500'000, 1));
}

TEST_P(residency_test, what_was_read_is_cached) {
    make_cold();
    read(0, size);
    EXPECT_TRUE(cached(0, size));
    EXPECT_TRUE(cached(1, size - 1));
    EXPECT_TRUE(cached(4095, 2));
    EXPECT_TRUE(cached(size - 1, 1));
}

TEST_P(residency_test, a_stretch_is_cold_when_a_part_of_it_is) {
    make_cold();
    read(0, 512 * 1024);
    EXPECT_TRUE(cached(0, 512 * 1024));
    EXPECT_FALSE(cached(0, size));
    EXPECT_FALSE(cached(512 * 1024 + 4096, 100'000));
    make_cold();
    read(512 * 1024, size - 512 * 1024);
    EXPECT_FALSE(cached(0, size));
    EXPECT_TRUE(cached(512 * 1024, size - 512 * 1024));
}

TEST_P(residency_test, asking_does_not_make_it_warm) {
    make_cold();
    for (int i = 0; i < 3; ++i)
        EXPECT_FALSE(cached(0, size));
}

INSTANTIATE_TEST_SUITE_P(rights, residency_test, testing::Bool(),
                         [](const auto& one) { return one.param ? "of_nobody" : "of_the_owner"; });

TEST(residency, a_file_in_memory_is_always_cached) {
    const file_descriptor memory(::memfd_create("sample", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memory.get(), static_cast<off_t>(size)), 0);
    residency_probe probe(memory.get());
    EXPECT_TRUE(probe.cached(memory.get(), 0, size));
}

TEST(residency, what_cannot_be_told_counts_as_cold) {
    const file_descriptor unknown(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    residency_probe probe(unknown.get());
    EXPECT_FALSE(probe.cached(unknown.get(), 0, 100));
}

} // namespace
} // namespace dlhandoff::test
