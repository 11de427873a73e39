#include "shared/board.hpp"

#include <cerrno>
#include <new>
#include <sys/random.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

constexpr std::uint64_t board_magic = 0x6472616f62686c64; // "dlhboard"
constexpr std::uint32_t most_slots = 1U << 20;

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

/// Both counts must be within their bounds.
constexpr std::size_t size_of(std::uint32_t slots, std::uint32_t managers) noexcept {
    return header_size + managers * (sizeof(manager_status) + slots * sizeof(ticket_slot));
}

constexpr bool within_bounds(std::uint32_t slots, std::uint32_t managers) noexcept {
    return managers >= 1 && managers <= most_managers && slots <= most_slots / managers;
}

} // namespace

board::board(sealed_memory memory) noexcept
    : memory_(std::move(memory)), epoch_(head().epoch), managers_(head().managers),
      slots_each_(head().slots_each) {
    static_assert(sizeof(header) == header_size);
}

board::header& board::head() const noexcept {
    return *static_cast<header*>(memory_.address());
}

manager_status& board::manager(std::uint32_t index) const noexcept {
    auto* first = static_cast<std::byte*>(memory_.address()) + header_size;
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
    auto memory = sealed_memory::create("dlhandoff-board", size_of(slots, managers));
    // New memory is zero, which stands for a vacant place, a vacant slot and a zero counter. Only the header
    // is written, so unused parts cost no page.
    auto* head = new (memory.address()) header{};
    head->version = board_version;
    head->slots_each = slots;
    head->epoch = random_epoch();
    head->supervisor = static_cast<std::uint32_t>(::getpid());
    head->managers = managers;
    head->magic = board_magic;
    return board(std::move(memory));
}

std::optional<board> board::attach(file_descriptor memory) noexcept {
    auto attached = sealed_memory::attach(std::move(memory));
    if (!attached || attached->size() < sizeof(header))
        return std::nullopt;
    board found(std::move(*attached));
    // Checks the copied counts: the other side may change the memory at any time.
    if (found.head().magic != board_magic || found.head().version != board_version ||
        !within_bounds(found.slots_each_, found.managers_) ||
        size_of(found.slots_each_, found.managers_) > found.memory_.size())
        return std::nullopt;
    return found;
}

} // namespace dlhandoff
