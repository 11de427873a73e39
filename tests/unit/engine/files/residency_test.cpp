#include "engine/files/residency.hpp"

#include "tests/unit/engine/download.hpp"
#include "tests/unit/engine/files/refused_system_call.hpp"

#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>
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

/// A file on a disk, open for reading only.
struct residency_test : testing::Test {
    void SetUp() override {
        struct statfs status {};
        ASSERT_EQ(::fstatfs(opened.get(), &status), 0);
        if (status.f_type == TMPFS_MAGIC)
            GTEST_SKIP() << "/var/tmp is in memory";
        // No kernel read-ahead, so that the test decides what is in the cache.
        ASSERT_EQ(::posix_fadvise(opened.get(), 0, 0, POSIX_FADV_RANDOM), 0);
        ASSERT_EQ(::posix_fadvise(opened.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    }

    void read(std::size_t offset, std::size_t length) const {
        std::vector<char> buffer(length);
        ASSERT_EQ(::pread(opened.get(), buffer.data(), length, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(length));
    }
    [[nodiscard]] bool cached(std::uint64_t offset, std::uint64_t length) {
        return probe.cached(opened.get(), offset, length, engine::clock::now());
    }

    const sample_file file{size};
    const file_descriptor opened = file.open();
    residency_probe probe{opened.get()};
};

// The owner of a file is answered by cachestat(2), or before Linux 6.5 like everybody else.

TEST_F(residency_test, what_was_dropped_from_the_cache_is_cold) {
    EXPECT_FALSE(cached(0, size));
    EXPECT_FALSE(cached(500'000, 1));
}

TEST_F(residency_test, what_was_read_is_cached) {
    read(0, size);
    EXPECT_TRUE(cached(0, size));
    EXPECT_TRUE(cached(1, size - 1));
    EXPECT_TRUE(cached(4095, 2));
    EXPECT_TRUE(cached(size - 1, 1));
}

TEST_F(residency_test, a_stretch_is_cold_when_its_end_is) {
    read(0, 512 * 1024);
    EXPECT_TRUE(cached(0, 512 * 1024));
    EXPECT_FALSE(cached(0, size));
    EXPECT_FALSE(cached(512 * 1024 + 4096, 100'000));
}

TEST_F(residency_test, a_stretch_is_cold_when_its_beginning_is) {
    read(512 * 1024, size - 512 * 1024);
    EXPECT_FALSE(cached(0, size));
    EXPECT_TRUE(cached(512 * 1024, size - 512 * 1024));
}

TEST_F(residency_test, whoever_may_only_read_is_told_what_was_read) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can have another user's rights";
    read(0, size);
    const unprivileged rights;
    EXPECT_TRUE(cached(0, size));
    EXPECT_TRUE(cached(1, size - 1));
    EXPECT_TRUE(cached(size - 1, 1));
}

TEST_F(residency_test, whoever_may_only_read_is_not_told_that_cold_bytes_are_cached) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can have another user's rights";
    bool answer;
    {
        const unprivileged rights;
        answer = cached(0, size);
    }
    // The kernel begins to read what RWF_NOWAIT did not find, and a disk may be so fast that it is there
    // before the call returns. Then the answer is true, and so are the facts.
    if (answer) {
        residency_probe of_the_owner(opened.get());
        for (std::size_t at = 0; at < size; at += 64 * 1024)
            EXPECT_TRUE(of_the_owner.cached(opened.get(), at, 1, engine::clock::now())) << at;
        EXPECT_TRUE(of_the_owner.cached(opened.get(), size - 1, 1, engine::clock::now()));
    }
}

/// The exit status of a process in which cachestat(2) is refused and `check` says whether all is as it should
/// be: 0 if it is; 77 if it can't be refused here.
int status_where_cachestat_is_refused(const std::function<bool()>& check) {
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(!refuse_system_call(cachestat_number) ? 77 : check() ? 0 : 1);
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(residency_test, where_cachestat_is_refused_what_was_read_is_cached_all_the_same) {
    read(0, size);
    const int status = status_where_cachestat_is_refused([&] {
        residency_probe fresh(opened.get());
        return cached(0, size) && cached(size - 1, 1) &&
               fresh.cached(opened.get(), 1, size - 1, engine::clock::now());
    });
    if (status == 77)
        GTEST_SKIP() << "this kernel has no seccomp filters";
    EXPECT_EQ(status, 0);
}

TEST(residency, a_filter_that_refuses_cachestat_is_told_from_a_kernel_that_lacks_it) {
    if (engine::cachestat_filtered() != 0)
        GTEST_SKIP() << "this very test runs behind such a filter";
    const int status = status_where_cachestat_is_refused([] {
        return engine::cachestat_filtered() == EPERM && engine::describe_filtered_cachestat(EPERM).find(
                                                            "Operation not permitted") != std::string::npos;
    });
    if (status == 77)
        GTEST_SKIP() << "this kernel has no seccomp filters";
    EXPECT_EQ(status, 0);
}

TEST(residency, a_file_in_memory_is_always_cached) {
    const file_descriptor memory(::memfd_create("sample", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memory.get(), static_cast<off_t>(size)), 0);
    residency_probe probe(memory.get());
    EXPECT_TRUE(probe.cached(memory.get(), 0, size, engine::clock::now()));
}

TEST(residency, what_cannot_be_told_counts_as_cold) {
    const file_descriptor unknown(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    residency_probe probe(unknown.get());
    EXPECT_FALSE(probe.cached(unknown.get(), 0, 100, engine::clock::now()));
}

} // namespace
} // namespace dlhandoff::test
