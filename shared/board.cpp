#include "shared/board.hpp"

#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

constexpr std::uint64_t board_magic = 0x6472616f62686c64; // "dlhboard"
constexpr int required_seals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr std::uint32_t max_slots = 1U << 20;

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

} // namespace

struct board::header {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t slots;
    alignas(64) manager_counters counters;
};

namespace {
constexpr std::size_t round_up(std::size_t size) {
    return (size + 63) / 64 * 64;
}
} // namespace

board::board(file_descriptor memory, boost::interprocess::mapped_region region, std::uint32_t slots) noexcept
    : memory_(std::move(memory)), region_(std::move(region)), slots_(slots) {}

board::header& board::head() const noexcept {
    return *static_cast<header*>(region_.get_address());
}

manager_counters& board::counters() const noexcept {
    return head().counters;
}

ticket_slot& board::slot(std::uint32_t index) const noexcept {
    auto* first = static_cast<std::byte*>(region_.get_address()) + round_up(sizeof(header));
    return reinterpret_cast<ticket_slot*>(first)[index];
}

board board::create(std::uint32_t slots) {
    const std::size_t size = round_up(sizeof(header)) + slots * sizeof(ticket_slot);
    file_descriptor memory(::memfd_create("dlhandoff-board", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory)
        throw_errno("memfd_create(board)");
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) < 0)
        throw_errno("ftruncate(board)");
    if (::fcntl(memory.get(), F_ADD_SEALS, required_seals) < 0)
        throw_errno("fcntl(board, F_ADD_SEALS)");
    auto region = map(memory.get(), size);
    // New memory is zero, which is a vacant slot and a zero counter: only the header is written, so that
    // untouched slots cost no page.
    auto* head = new (region.get_address()) header{};
    head->version = board_version;
    head->slots = slots;
    head->magic = board_magic;
    return {std::move(memory), std::move(region), slots};
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
    auto region = map(memory.get(), size);
    const auto& head = *static_cast<const header*>(region.get_address());
    const std::uint32_t slots = head.slots;
    if (head.magic != board_magic || head.version != board_version || slots > max_slots ||
        round_up(sizeof(header)) + slots * sizeof(ticket_slot) > size)
        return std::nullopt;
    return board({}, std::move(region), slots);
} catch (...) {
    return std::nullopt;
}

} // namespace dlhandoff
