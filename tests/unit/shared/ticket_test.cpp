#include "shared/ticket.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <thread>

namespace dlhandoff {
namespace {

TEST(ticket, a_new_slot_is_vacant) {
    const ticket_slot slot;
    EXPECT_EQ(ticket_state_of(slot, 0), ticket_state::vacant);
    EXPECT_EQ(ticket_state_of(slot, 1), ticket_state::vacant);
}

TEST(ticket, claimed_once_and_not_revoked_after) {
    ticket_slot slot;
    const auto sequence = offer_ticket(slot);
    EXPECT_EQ(ticket_state_of(slot, sequence), ticket_state::offered);
    EXPECT_TRUE(claim_ticket(slot, sequence));
    EXPECT_EQ(ticket_state_of(slot, sequence), ticket_state::claimed);
    EXPECT_FALSE(claim_ticket(slot, sequence));
    EXPECT_FALSE(revoke_ticket(slot, sequence));
    EXPECT_EQ(ticket_state_of(slot, sequence), ticket_state::claimed);
}

TEST(ticket, revoked_once_and_not_claimed_after) {
    ticket_slot slot;
    const auto sequence = offer_ticket(slot);
    EXPECT_TRUE(revoke_ticket(slot, sequence));
    EXPECT_EQ(ticket_state_of(slot, sequence), ticket_state::revoked);
    EXPECT_FALSE(revoke_ticket(slot, sequence));
    EXPECT_FALSE(claim_ticket(slot, sequence));
    EXPECT_EQ(ticket_state_of(slot, sequence), ticket_state::revoked);
}

TEST(ticket, sequence_numbers_follow_each_other) {
    ticket_slot slot;
    const auto first = offer_ticket(slot);
    ASSERT_TRUE(claim_ticket(slot, first));
    const auto second = offer_ticket(slot);
    EXPECT_EQ(second, first + 1);
    EXPECT_EQ(last_sequence(slot), second);
    ASSERT_TRUE(revoke_ticket(slot, second));
    EXPECT_EQ(offer_ticket(slot), second + 1);
}

TEST(ticket, a_late_claim_does_not_take_the_next_offer) {
    ticket_slot slot;
    const auto old = offer_ticket(slot);
    ASSERT_TRUE(revoke_ticket(slot, old));
    const auto next = offer_ticket(slot);
    EXPECT_FALSE(claim_ticket(slot, old));
    EXPECT_EQ(ticket_state_of(slot, old), ticket_state::vacant);
    EXPECT_EQ(ticket_state_of(slot, next), ticket_state::offered);
    EXPECT_TRUE(claim_ticket(slot, next));
}

TEST(ticket, a_claim_of_what_was_not_offered_fails) {
    ticket_slot slot;
    EXPECT_FALSE(claim_ticket(slot, 0));
    EXPECT_FALSE(claim_ticket(slot, 1));
    const auto sequence = offer_ticket(slot);
    EXPECT_FALSE(claim_ticket(slot, sequence + 1));
    EXPECT_TRUE(claim_ticket(slot, sequence));
}

/// Lets a worker and a manager reach for the same ticket at once, round after round.
class race {
  public:
    enum side : std::size_t { worker, manager };

    /// Both begin a round together, as nearly as two threads can, and end it together.
    void meet() {
        const int meeting = meetings_.load();
        if (arrived_.fetch_add(1) == 1) {
            arrived_.store(0);
            meetings_.store(meeting + 1);
            return;
        }
        wait([&] { return meetings_.load() != meeting; });
    }

    /// Makes the attempt, a little earlier or later from round to round. In two rounds of 64 one side waits
    /// for the other's attempt, so that both orders occur even where the two share one core.
    template <class Attempt>
    auto attempt(side me, int round, Attempt&& reach) {
        const int rest = round % 64;
        const side other = me == worker ? manager : worker;
        if (rest == static_cast<int>(me))
            wait([&] { return attempts_[other].load() > round; });
        else if (rest > 1)
            for (std::atomic<int> left{me == manager ? rest : 32}; left.load(std::memory_order_relaxed) > 0;)
                left.fetch_sub(1, std::memory_order_relaxed);
        const auto result = reach();
        attempts_[me].store(round + 1);
        return result;
    }

  private:
    /// Spinning keeps both on their cores; yielding lets the other one come where there is one core only.
    template <class Condition>
    static void wait(Condition&& holds) {
        for (int spins = 0; !holds(); ++spins)
            if (spins > 2'000)
                std::this_thread::yield();
    }

    std::atomic<int> arrived_{0};
    std::atomic<int> meetings_{0};
    std::array<std::atomic<int>, 2> attempts_{};
};

TEST(ticket, ten_thousand_races_each_have_exactly_one_owner) {
    constexpr int rounds = 10'000;
    ticket_slot slot;
    race both;
    std::uint64_t sequence = 0;
    bool claimed = false;
    std::thread manager([&] {
        for (int round = 0; round < rounds; ++round) {
            both.meet();
            claimed = both.attempt(race::manager, round, [&] { return claim_ticket(slot, sequence); });
            both.meet();
        }
    });
    int wrong = 0;
    int claims = 0;
    int revokes = 0;
    for (int round = 0; round < rounds; ++round) {
        sequence = offer_ticket(slot);
        both.meet();
        const bool revoked = both.attempt(race::worker, round, [&] { return revoke_ticket(slot, sequence); });
        both.meet();
        const auto expected = claimed ? ticket_state::claimed : ticket_state::revoked;
        wrong += claimed == revoked || ticket_state_of(slot, sequence) != expected ? 1 : 0;
        claims += claimed ? 1 : 0;
        revokes += revoked ? 1 : 0;
    }
    manager.join();
    EXPECT_EQ(wrong, 0) << "rounds with two owners or with none";
    // Rounds in which the order was forced alone make up 156 each.
    EXPECT_GE(claims, rounds / 64);
    EXPECT_GE(revokes, rounds / 64);
}

TEST(ticket, ten_thousand_late_claims_never_touch_the_next_offer) {
    constexpr int rounds = 10'000;
    ticket_slot slot;
    race both;
    std::uint64_t sequence = 0;
    bool claimed = false;
    std::thread manager([&] {
        for (int round = 0; round < rounds; ++round) {
            both.meet();
            claimed = both.attempt(race::manager, round, [&] { return claim_ticket(slot, sequence); });
            both.meet();
        }
    });
    int wrong = 0;
    int offered_again = 0;
    for (int round = 0; round < rounds; ++round) {
        sequence = offer_ticket(slot);
        both.meet();
        // The worker gives up and comes back with its next request while the claim is on its way.
        const std::uint64_t next = both.attempt(race::worker, round, [&] {
            return revoke_ticket(slot, sequence) ? offer_ticket(slot) : std::uint64_t{0};
        });
        both.meet();
        wrong += claimed == (next != 0) ? 1 : 0;
        if (next == 0)
            continue;
        ++offered_again;
        wrong += revoke_ticket(slot, next) ? 0 : 1;
    }
    manager.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_GE(offered_again, rounds / 64);
}

TEST(ticket, is_not_offered_by_one_who_has_lost_the_slot) {
    ticket_slot slot;
    const auto first = offer_next_ticket(slot, last_sequence(slot));
    ASSERT_EQ(first, 1U);
    EXPECT_TRUE(revoke_ticket(slot, *first));
    EXPECT_EQ(offer_next_ticket(slot, *first), 2U);
    EXPECT_TRUE(claim_ticket(slot, 2));
    // Another connection gets the slot, and offers.
    const auto others = offer_next_ticket(slot, last_sequence(slot));
    ASSERT_EQ(others, 3U);
    EXPECT_EQ(offer_next_ticket(slot, 2), std::nullopt);
    EXPECT_EQ(ticket_state_of(slot, 3), ticket_state::offered) << "and nothing has changed";
    EXPECT_TRUE(claim_ticket(slot, 3));
}

} // namespace
} // namespace dlhandoff
