#include "shared/board.hpp"

#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

constexpr std::uint64_t board_magic = 0x6472616f62686c64; // "dlhboard"
constexpr int required_seals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr std::uint32_t most_slots = 1U << 20;

/// Boost.Interprocess maps anything that has a mapping handle; this one is a descriptor that stays ours.
struct borrowed_memory {
    int number;
    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
        return {number, false};
    }
};

boost::interprocess::mapped_region map(int number, std::size_t size) {
    return {borrowed_memory{number}, boost::interprocess::read_write, 0, size};
}

std::uint64_t random_epoch() {
    std::uint64_t epoch = 0;
    while (epoch == 0)
        if (::getrandom(&epoch, sizeof epoch, 0) != sizeof epoch && errno != EINTR)
            throw_errno("getrandom");
    return epoch;
}

} // namespace

struct alignas(64) board::header {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t slots_each;
    std::uint64_t epoch;
    std::uint32_t supervisor;
    std::uint32_t managers;
};

namespace {

constexpr std::size_t header_size = 64;

/// Both counts are within their bounds.
constexpr std::size_t size_of(std::uint32_t slots, std::uint32_t managers) noexcept {
    return header_size + managers * (sizeof(manager_status) + slots * sizeof(ticket_slot));
}

constexpr bool within_bounds(std::uint32_t slots, std::uint32_t managers) noexcept {
    return managers >= 1 && managers <= most_managers && slots <= most_slots / managers;
}

} // namespace

board::board(file_descriptor memory, boost::interprocess::mapped_region region) noexcept
    : memory_(std::move(memory)), region_(std::move(region)), epoch_(head().epoch),
      managers_(head().managers), slots_each_(head().slots_each) {
    static_assert(sizeof(header) == header_size);
}

board::header& board::head() const noexcept {
    return *static_cast<header*>(region_.get_address());
}

manager_status& board::manager(std::uint32_t index) const noexcept {
    auto* first = static_cast<std::byte*>(region_.get_address()) + header_size;
    return reinterpret_cast<manager_status*>(first)[index];
}

ticket_slot& board::slot(std::uint32_t index) const noexcept {
    return reinterpret_cast<ticket_slot*>(&manager(managers_))[index];
}

std::uint32_t board::supervisor() const noexcept {
    return head().supervisor;
}

board board::create(std::uint32_t slots, std::uint32_t managers) {
    if (!within_bounds(slots, managers)) {
        errno = EINVAL;
        throw_errno("board");
    }
    const std::size_t size = size_of(slots, managers);
    file_descriptor memory(::memfd_create("dlhandoff-board", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory)
        throw_errno("memfd_create(board)");
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) < 0)
        throw_errno("ftruncate(board)");
    if (::fcntl(memory.get(), F_ADD_SEALS, required_seals) < 0)
        throw_errno("fcntl(board, F_ADD_SEALS)");
    auto region = map(memory.get(), size);
    // New memory is zero, which is a vacant place, a vacant slot and a zero counter: only the header is
    // written, so that what is not used costs no page.
    auto* head = new (region.get_address()) header{};
    head->version = board_version;
    head->slots_each = slots;
    head->epoch = random_epoch();
    head->supervisor = static_cast<std::uint32_t>(::getpid());
    head->managers = managers;
    head->magic = board_magic;
    return {std::move(memory), std::move(region)};
}

std::optional<board> board::attach(file_descriptor memory) noexcept try {
    struct stat status {};
    // Without the seals the other side could shrink the file under the mapping: SIGBUS in an httpd worker.
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    if (seals < 0 || (seals & required_seals) != required_seals || ::fstat(memory.get(), &status) < 0)
        return std::nullopt;
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size < sizeof(header))
        return std::nullopt;
    board found({}, map(memory.get(), size));
    // Checked as copied: the other side may change what is in the memory at any time.
    if (found.head().magic != board_magic || found.head().version != board_version ||
        !within_bounds(found.slots_each_, found.managers_) ||
        size_of(found.slots_each_, found.managers_) > size)
        return std::nullopt;
    return found;
} catch (...) {
    return std::nullopt;
}

} // namespace dlhandoff
