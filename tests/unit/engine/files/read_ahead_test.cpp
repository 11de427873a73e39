#include "engine/files/read_ahead.hpp"

#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::clock;
using engine::file_reference;

constexpr std::size_t size = 2'000'000;

struct counting_owner final : engine::read_ahead::listener {
    void on_read(const engine::read_ahead::result& what) noexcept override {
        ++calls;
        file = &what.file;
        offset = what.offset;
        error = what.error;
        if (then)
            then();
    }
    int calls = 0;
    const engine::shared_file* file = nullptr;
    std::uint64_t offset = 0;
    int error = -1;
    std::function<void()> then;
};

struct read_ahead_test : testing::Test {
    [[nodiscard]] bool run_until(const std::function<bool()>& done) {
        const auto limit = clock::now() + std::chrono::seconds(10);
        while (!done()) {
            if (clock::now() > limit)
                return false;
            loop.run_once(clock::now() + std::chrono::milliseconds(100));
        }
        return true;
    }

    [[nodiscard]] file_reference open_cold() {
        file_descriptor opened = file.open();
        ::posix_fadvise(opened.get(), 0, 0, POSIX_FADV_DONTNEED);
        return files.adopt(file.identity(), std::move(opened));
    }

    const sample_file file{size};
    engine::event_loop loop;
    engine::file_table files;
    std::unique_ptr<engine::read_ahead> reader = std::make_unique<engine::read_ahead>(loop);
};

TEST_F(read_ahead_test, tells_the_owner_once_and_the_stretch_is_cached_then) {
    const file_reference cold = open_cold();
    counting_owner owner;
    ASSERT_NE(reader->start(cold, 100'000, 700'000, owner), nullptr);
    ASSERT_TRUE(run_until([&] { return owner.calls > 0; }));
    EXPECT_TRUE(cold->residency().cached(cold->descriptor(), 100'000, 700'000, engine::clock::now()));
    loop.run_once(clock::time_point());
    EXPECT_EQ(owner.calls, 1);
}

TEST_F(read_ahead_test, the_owner_is_called_on_the_loops_thread) {
    counting_owner owner;
    std::thread::id called_on;
    owner.then = [&] { called_on = std::this_thread::get_id(); };
    ASSERT_NE(reader->start(open_cold(), 0, size, owner), nullptr);
    ASSERT_TRUE(run_until([&] { return owner.calls > 0; }));
    EXPECT_EQ(called_on, std::this_thread::get_id());
}

TEST_F(read_ahead_test, many_requests_are_all_answered) {
    std::vector<counting_owner> owners(200);
    for (std::size_t i = 0; i < owners.size(); ++i)
        ASSERT_NE(reader->start(open_cold(), i * 10'000, 10'000, owners[i]), nullptr);
    ASSERT_TRUE(run_until([&] {
        return std::all_of(owners.begin(), owners.end(), [](const auto& one) { return one.calls == 1; });
    }));
}

TEST_F(read_ahead_test, an_owner_that_abandoned_its_request_is_not_called) {
    {
        counting_owner owner;
        owner.then = [] { FAIL() << "called after it had gone"; };
        auto* const request = reader->start(open_cold(), 0, size, owner);
        ASSERT_NE(request, nullptr);
        engine::read_ahead::abandon(*request);
    }
    // The request holds the file, and goes when its read has ended.
    ASSERT_TRUE(run_until([&] { return files.size() == 0; }));
}

TEST_F(read_ahead_test, an_owner_may_abandon_anothers_request_when_called) {
    for (int round = 0; round < 20; ++round) {
        counting_owner first, second;
        engine::read_ahead::request* request_of_first = reader->start(open_cold(), 0, 4096, first);
        engine::read_ahead::request* request_of_second = reader->start(open_cold(), 4096, 4096, second);
        first.then = [&] { engine::read_ahead::abandon(*request_of_second); };
        second.then = [&] { engine::read_ahead::abandon(*request_of_first); };
        ASSERT_TRUE(run_until([&] { return files.size() == 0; }));
        EXPECT_EQ(first.calls + second.calls, 1);
    }
}

TEST_F(read_ahead_test, the_file_stays_open_until_the_read_has_ended) {
    counting_owner owner;
    ASSERT_NE(reader->start(open_cold(), 0, size, owner), nullptr);
    EXPECT_EQ(files.size(), 1U);
    ASSERT_TRUE(run_until([&] { return owner.calls > 0; }));
    EXPECT_EQ(files.size(), 0U);
}

TEST_F(read_ahead_test, a_read_that_fails_or_ends_early_is_answered_too) {
    counting_owner failing, beyond;
    file_identity other = file.identity();
    other.inode += 1; // so that the table doesn't take it for the same
    file_descriptor unreadable(::open(file.path().c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_NE(reader->start(files.adopt(other, std::move(unreadable)), 0, size, failing), nullptr);
    ASSERT_NE(reader->start(open_cold(), size - 10, size, beyond), nullptr);
    ASSERT_TRUE(run_until([&] { return failing.calls == 1 && beyond.calls == 1; }));
    EXPECT_EQ(failing.error, EBADF);
    EXPECT_EQ(beyond.error, 0) << "whether a file may end there is not known here";
}

TEST_F(read_ahead_test, says_where_a_disk_has_failed) {
    MOUNT_FAULTY_DISK(disk);
    file_descriptor opened(::open((disk / faulty_disk::dying).c_str(), O_RDONLY | O_CLOEXEC));
    const file_reference dying = files.adopt({1, 2, faulty_disk::file_size, 0}, std::move(opened));
    counting_owner owner;
    ASSERT_NE(reader->start(dying, faulty_disk::unreadable_from - 1'000'000, 2'000'000, owner), nullptr);
    ASSERT_TRUE(run_until([&] { return owner.calls > 0; }));
    EXPECT_EQ(owner.error, EIO);
    EXPECT_EQ(owner.file, &*dying);
    EXPECT_LE(owner.offset, faulty_disk::unreadable_from);
    EXPECT_GE(owner.offset + 1'000'000, faulty_disk::unreadable_from);
}

TEST_F(read_ahead_test, ending_with_requests_under_way_closes_their_files) {
    std::vector<counting_owner> owners(50);
    for (counting_owner& one : owners)
        ASSERT_NE(reader->start(open_cold(), 0, size, one), nullptr);
    reader.reset();
    EXPECT_EQ(files.size(), 0U);
    for (const counting_owner& one : owners)
        EXPECT_EQ(one.calls, 0);
}

} // namespace
} // namespace dlhandoff::test
