#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace dlhandoff {

/// What decides who sends a response: a lock-free slot that a worker and a manager share.
///
///     vacant ──offer──> offered ──claim──> claimed     (the manager sends)
///                          └─────revoke──> revoked     (httpd sends)
///
/// Claim and revoke are each one compare-and-swap on the same word, so only one of them can succeed,
/// whichever side dies or hangs, and whenever. The word also carries the offer's sequence number. A claim
/// that comes too late, after its offer was revoked and the slot was offered again, names an old number and
/// fails.
///
/// A slot belongs to one connection between a worker and a manager, which has at most one offer under way. A
/// worker may learn late that its connection has ended and that the slot belongs to another. Therefore it
/// offers only if the word is the one that it left there (offer_next_ticket), so it can't overwrite an offer
/// of the new owner. It may still offer before the new owner's first offer; the new owner then goes on from
/// that number. It lives in shared memory, where the other side may write anything; at worst a wrong value
/// makes an offer fail or drops a response.
enum class ticket_state : std::uint8_t { vacant = 0, offered = 1, claimed = 2, revoked = 3 };

struct alignas(64) ticket_slot {
    std::atomic<std::uint64_t> word{0};
};
static_assert(sizeof(ticket_slot) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Names one offer: its slot, and the offer's sequence number there.
struct ticket {
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const ticket&, const ticket&) = default;
};

/// Worker: marks the slot as offered under the next sequence number, and returns that number. `last` is the
/// number of its own last offer there, or last_sequence() when it got the slot. nullopt: another owner of the
/// slot has offered since.
[[nodiscard]] std::optional<std::uint64_t> offer_next_ticket(ticket_slot& slot, std::uint64_t last) noexcept;

/// The same for a slot that surely has no other owner.
[[nodiscard]] std::uint64_t offer_ticket(ticket_slot& slot) noexcept;

/// Manager: true if it now owns the response.
[[nodiscard]] bool claim_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept;

/// Worker: true if the offer is taken back and httpd owns the response.
[[nodiscard]] bool revoke_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept;

/// The sequence number of the last offer in the slot; 0 before the first.
[[nodiscard]] std::uint64_t last_sequence(const ticket_slot& slot) noexcept;

/// What the slot says about this offer; `vacant` if the slot holds another one.
[[nodiscard]] ticket_state ticket_state_of(const ticket_slot& slot, std::uint64_t sequence) noexcept;

} // namespace dlhandoff
