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
/// Both last steps are one compare-and-swap on the same word, so exactly one of them succeeds, whatever dies
/// or hangs when. The word also carries the offer's sequence number: a claim that comes after its offer was
/// revoked and the slot offered again names an old sequence and fails.
///
/// One slot belongs to one connection between a worker and a manager, which has one offer under way at most.
/// A worker may learn late that its connection has ended and the slot is another's: it offers only from the
/// word that it left there (offer_next_ticket), so it can't take away what the new owner has offered. It may
/// still offer before the new owner's first offer, which then goes past it.
/// Lives in shared memory: the other side may write anything there; the worst that a wrong value does is to
/// make an offer fail or a response be dropped.
enum class ticket_state : std::uint8_t { vacant = 0, offered = 1, claimed = 2, revoked = 3 };

struct alignas(64) ticket_slot {
    std::atomic<std::uint64_t> word{0};
};
static_assert(sizeof(ticket_slot) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Names one offer: which slot, and the how-manieth offer in it.
struct ticket {
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const ticket&, const ticket&) = default;
};

/// Worker: marks the slot as offered under the next sequence number, which it returns. `last`: that of its
/// own last offer there, or last_sequence() when it got the slot. Nothing: another owner of the slot
/// has offered since.
[[nodiscard]] std::optional<std::uint64_t> offer_next_ticket(ticket_slot& slot, std::uint64_t last) noexcept;

/// The same for a slot that surely has no other owner.
[[nodiscard]] std::uint64_t offer_ticket(ticket_slot& slot) noexcept;

/// Manager: true if it now owns the response.
[[nodiscard]] bool claim_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept;

/// Worker: true if the offer is taken back and httpd owns the response.
[[nodiscard]] bool revoke_ticket(ticket_slot& slot, std::uint64_t sequence) noexcept;

/// The sequence number of the last offer in the slot; 0 before the first.
[[nodiscard]] std::uint64_t last_sequence(const ticket_slot& slot) noexcept;

/// What the slot says about this offer; `vacant` if it speaks of another one.
[[nodiscard]] ticket_state ticket_state_of(const ticket_slot& slot, std::uint64_t sequence) noexcept;

} // namespace dlhandoff
