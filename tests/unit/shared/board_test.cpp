#include "shared/board.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dlhandoff {
namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;
// Where the header's fields are; board.cpp fixes them, and board_version must be raised when they move.
constexpr off_t magic_at = 0;
constexpr off_t version_at = 8;
constexpr off_t slots_at = 12;
constexpr off_t managers_at = 28;

file_descriptor descriptor_of(const board& one) {
    return file_descriptor::duplicate_of(one.descriptor());
}

off_t size_of(int number) {
    struct stat status {};
    EXPECT_EQ(::fstat(number, &status), 0);
    return status.st_size;
}

/// A memfd with the bytes of a real board of 4 slots, cut or lengthened to `size` (0: as it is), under
/// `seals`.
file_descriptor copy_of_board(int seals, off_t size = 0) {
    const board original = board::create(4);
    std::vector<char> bytes(static_cast<std::size_t>(size_of(original.descriptor())));
    EXPECT_EQ(::pread(original.descriptor(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    if (size != 0)
        bytes.resize(static_cast<std::size_t>(size));
    file_descriptor copy(::memfd_create("board-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::write(copy.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(::fcntl(copy.get(), F_ADD_SEALS, seals), 0);
    return copy;
}

template <class Value>
file_descriptor copy_of_board_with(off_t at, Value value) {
    file_descriptor copy = copy_of_board(size_seals);
    EXPECT_EQ(::pwrite(copy.get(), &value, sizeof value, at), static_cast<ssize_t>(sizeof value));
    return copy;
}

TEST(board, a_new_one_is_empty) {
    const board one = board::create(8);
    EXPECT_EQ(one.slots(), 8U);
    for (std::uint32_t index = 0; index < one.slots(); ++index)
        EXPECT_EQ(one.slot(index).word.load(), 0U);
    EXPECT_EQ(one.managers(), 1U);
    EXPECT_EQ(one.manager(0).state.load(), manager_state::vacant);
    EXPECT_EQ(one.manager(0).counters.offers.load(), 0U);
    for (const auto& refused : one.manager(0).counters.refusals)
        EXPECT_EQ(refused.load(), 0U);
}

TEST(board, cannot_be_resized_and_closes_on_exec) {
    const board one = board::create(8);
    EXPECT_EQ(::fcntl(one.descriptor(), F_GET_SEALS) & size_seals, size_seals);
    EXPECT_NE(::ftruncate(one.descriptor(), 0), 0);
    EXPECT_NE(::ftruncate(one.descriptor(), 1 << 20), 0);
    EXPECT_NE(::fcntl(one.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(board, attached_shares_slots_and_counters) {
    const board manager = board::create(16);
    const auto worker = board::attach(descriptor_of(manager));
    ASSERT_TRUE(worker);
    EXPECT_EQ(worker->slots(), 16U);
    const auto sequence = offer_ticket(worker->slot(15));
    EXPECT_TRUE(claim_ticket(manager.slot(15), sequence));
    EXPECT_FALSE(revoke_ticket(worker->slot(15), sequence));
    manager.manager(0).counters.claims = 7;
    EXPECT_EQ(worker->manager(0).counters.claims.load(), 7U);
}

TEST(board, attached_outlives_the_one_that_made_it) {
    std::optional<board> worker;
    {
        const board manager = board::create(2);
        manager.manager(0).counters.late = 3;
        worker = board::attach(descriptor_of(manager));
    }
    ASSERT_TRUE(worker);
    EXPECT_EQ(worker->manager(0).counters.late.load(), 3U);
    EXPECT_EQ(offer_ticket(worker->slot(1)), 1U);
}

TEST(board, is_shared_between_processes) {
    const board manager = board::create(1);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto worker = board::attach(descriptor_of(manager));
        ::_exit(worker && offer_ticket(worker->slot(0)) == 1 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(claim_ticket(manager.slot(0), 1));
}

TEST(board, attaching_keeps_no_descriptor) {
    const board manager = board::create(1);
    file_descriptor copy = descriptor_of(manager);
    const int number = copy.get();
    const auto worker = board::attach(std::move(copy));
    ASSERT_TRUE(worker);
    EXPECT_LT(::fcntl(number, F_GETFD), 0);
    EXPECT_EQ(worker->descriptor(), -1);
}

// The refusals below differ from this one in one thing each.
TEST(board, a_sealed_copy_is_a_board) {
    EXPECT_TRUE(board::attach(copy_of_board(size_seals)));
}

TEST(board, refuses_one_that_could_be_resized) {
    EXPECT_FALSE(board::attach(copy_of_board(0)));
    EXPECT_FALSE(board::attach(copy_of_board(F_SEAL_SHRINK)));
    EXPECT_FALSE(board::attach(copy_of_board(F_SEAL_GROW)));
}

TEST(board, refuses_one_that_it_may_not_write) {
    EXPECT_FALSE(board::attach(copy_of_board(size_seals | F_SEAL_WRITE)));
    const file_descriptor copy = copy_of_board(size_seals);
    const std::string path = "/proc/self/fd/" + std::to_string(copy.get());
    EXPECT_FALSE(board::attach(file_descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))));
}

TEST(board, refuses_one_that_is_too_short) {
    const off_t whole = size_of(copy_of_board(size_seals).get());
    EXPECT_FALSE(board::attach(copy_of_board(size_seals, 1)));
    EXPECT_FALSE(board::attach(copy_of_board(size_seals, 16)));
    EXPECT_FALSE(board::attach(copy_of_board(size_seals, whole - 1)));
    EXPECT_TRUE(board::attach(copy_of_board(size_seals, whole + 1)));
    EXPECT_FALSE(board::attach(file_descriptor(::memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING))));
}

TEST(board, refuses_another_version) {
    EXPECT_TRUE(board::attach(copy_of_board_with(version_at, board_version)));
    EXPECT_FALSE(board::attach(copy_of_board_with(version_at, board_version + 1)));
    EXPECT_FALSE(board::attach(copy_of_board_with(version_at, std::uint32_t{0})));
}

TEST(board, refuses_another_kind_of_file) {
    EXPECT_FALSE(board::attach(copy_of_board_with(magic_at, std::uint64_t{0x1122334455667788})));
}

TEST(board, refuses_more_slots_than_fit) {
    EXPECT_TRUE(board::attach(copy_of_board_with(slots_at, std::uint32_t{4})));
    EXPECT_FALSE(board::attach(copy_of_board_with(slots_at, std::uint32_t{5})));
    EXPECT_FALSE(board::attach(copy_of_board_with(slots_at, ~std::uint32_t{0})));
}

TEST(board, refuses_managers_out_of_bounds) {
    EXPECT_TRUE(board::attach(copy_of_board_with(managers_at, std::uint32_t{1})));
    EXPECT_FALSE(board::attach(copy_of_board_with(managers_at, std::uint32_t{0})));
    EXPECT_FALSE(board::attach(copy_of_board_with(managers_at, std::uint32_t{2})));
    EXPECT_FALSE(board::attach(copy_of_board_with(managers_at, most_managers + 1)));
    EXPECT_FALSE(board::attach(copy_of_board_with(managers_at, ~std::uint32_t{0})));
    EXPECT_THROW((void)board::create(1, 0), std::system_error);
    EXPECT_THROW((void)board::create(1, most_managers + 1), std::system_error);
    EXPECT_THROW((void)board::create((1U << 20) / 2 + 1, 2), std::system_error);
}

TEST(board, each_manager_has_a_place_and_slots_of_its_own) {
    const board supervisor = board::create(8, 3);
    const auto worker = board::attach(descriptor_of(supervisor));
    ASSERT_TRUE(worker);
    EXPECT_EQ(worker->managers(), 3U);
    EXPECT_EQ(worker->slots(), 24U);
    EXPECT_EQ(worker->slots_each(), 8U);
    EXPECT_EQ(worker->first_slot_of(2), 16U);
    for (std::uint32_t index = 0; index < 3; ++index)
        supervisor.manager(index).load = index + 1;
    for (std::uint32_t slot = 0; slot < 24; ++slot)
        EXPECT_EQ(offer_ticket(supervisor.slot(slot)), 1U) << slot;
    for (std::uint32_t index = 0; index < 3; ++index)
        EXPECT_EQ(worker->manager(index).load.load(), index + 1);
}

TEST(board, tells_who_made_it_and_which_it_is) {
    const board one = board::create(1);
    const board other = board::create(1);
    EXPECT_NE(one.epoch(), 0U);
    EXPECT_NE(one.epoch(), other.epoch());
    EXPECT_EQ(board::attach(descriptor_of(one))->epoch(), one.epoch());
    EXPECT_EQ(one.supervisor(), static_cast<std::uint32_t>(::getpid()));
}

TEST(board, costs_only_the_pages_that_are_used) {
    const board one = board::create(16'384, most_managers);
    one.manager(0).load = 1;
    (void)offer_ticket(one.slot(0));
    struct stat status {};
    ASSERT_EQ(::fstat(one.descriptor(), &status), 0);
    EXPECT_GT(status.st_size, 64 << 20);
    EXPECT_LE(status.st_blocks * 512, 64 << 10);
}

TEST(manager_status, cleared_is_as_new) {
    const board one = board::create(1, 2);
    manager_status& status = one.manager(1);
    status.state = manager_state::live;
    status.rank = manager_rank::duplicate;
    status.room = room_level::plenty;
    status.pid = 1;
    status.load = status.heartbeat = status.descriptors_used = status.descriptors_limit = 2;
    status.counters.claims = status.counters.queued = status.counters.bytes = 3;
    status.counters.refusals.back() = 4;
    clear(status);
    std::vector<char> bytes(sizeof status);
    std::memcpy(bytes.data(), static_cast<const void*>(&status), sizeof status);
    EXPECT_EQ(std::ranges::count(bytes, 0), static_cast<std::ptrdiff_t>(sizeof status));
}

TEST(board, refuses_what_is_not_memory) {
    EXPECT_FALSE(board::attach(file_descriptor()));
    EXPECT_FALSE(board::attach(file_descriptor(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC))));
    EXPECT_FALSE(board::attach(file_descriptor(::open("/dev/zero", O_RDWR | O_CLOEXEC))));
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const file_descriptor write_end(ends[1]);
    EXPECT_FALSE(board::attach(file_descriptor(ends[0])));
}

} // namespace
} // namespace dlhandoff
