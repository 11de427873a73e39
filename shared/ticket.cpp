#include "shared/ticket.hpp"

namespace dlhandoff {
namespace {

constexpr std::uint64_t word_of(std::uint64_t sequence, ticket_state state) noexcept {
    return sequence << 2 | static_cast<std::uint64_t>(state);
}

bool advance(ticket_slot& slot, std::uint64_t sequence, ticket_state to) noexcept {
    std::uint64_t expected = word_of(sequence, ticket_state::offered);
    return slot.word.compare_exchange_strong(expected, word_of(sequence, to), std::memory_order_acq_rel,
                                             std::memory_order_acquire);
}

} // namespace

std::optional<std::uint64_t> offer_next_ticket(ticket_slot& slot, std::uint64_t last) noexcept {
    std::uint64_t word = slot.word.load(std::memory_order_acquire);
    if (word >> 2 != last ||
        !slot.word.compare_exchange_strong(word, word_of(last + 1, ticket_state::offered),
                                           std::memory_order_acq_rel, std::memory_order_acquire))
        return std::nullopt;
    return last + 1;
}

std::uint64_t offer_ticket(ticket_slot& slot) noexcept {
    const std::uint64_t sequence = last_sequence(slot) + 1;
    slot.word.store(word_of(sequence, ticket_state::offered), std::memory_order_release);
    return sequence;
}

bool claim_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept {
    return advance(slot, sequence, ticket_state::claimed);
}

bool revoke_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept {
    return advance(slot, sequence, ticket_state::revoked);
}

std::uint64_t last_sequence(const ticket_slot& slot) noexcept {
    return slot.word.load(std::memory_order_acquire) >> 2;
}

ticket_state ticket_state_of(const ticket_slot& slot, std::uint64_t sequence) noexcept {
    const std::uint64_t word = slot.word.load(std::memory_order_acquire);
    return word >> 2 == sequence ? static_cast<ticket_state>(word & 3) : ticket_state::vacant;
}

} // namespace dlhandoff
