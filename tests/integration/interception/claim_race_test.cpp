// Claims and revocations at the same moment: one owner each time, on the board and with a real httpd.
#include "tests/integration/harness/fake_manager.hpp"
#include "tests/integration/harness/site.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <random>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;

/// Where two processes meet: round by round, and what became of each round.
struct meeting_place {
    static constexpr std::uint32_t rounds = 10'000;
    std::atomic<std::uint32_t> offered{0};   ///< rounds that the worker has opened
    std::atomic<std::uint32_t> concluded{0}; ///< rounds that the manager has finished
    std::array<std::atomic<bool>, rounds> claimed{};
    std::array<std::uint64_t, rounds> sequences{};
};

void wait_until(const std::atomic<std::uint32_t>& counter, std::uint32_t reached) {
    for (int spins = 0; counter.load(std::memory_order_acquire) < reached; ++spins)
        if (spins > 200)
            ::sched_yield();
}

void dawdle(unsigned steps) {
    // The fence keeps the compiler from leaving the loop out.
    for (unsigned i = 0; i < steps; ++i)
        std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// The manager's part, in a process of its own, with a board that came as a descriptor.
int claim_every_round(int board_descriptor, meeting_place& place, std::uint32_t slot) {
    const auto the_board = board::attach(file_descriptor::duplicate_of(board_descriptor));
    if (!the_board)
        return 1;
    std::minstd_rand random(2);
    for (std::uint32_t round = 0; round < meeting_place::rounds; ++round) {
        wait_until(place.offered, round + 1);
        dawdle(static_cast<unsigned>(random() % 64));
        place.claimed[round] = claim_ticket(the_board->slot(slot), place.sequences[round]);
        place.concluded.store(round + 1, std::memory_order_release);
    }
    return 0;
}

TEST(claim_race, on_the_board_between_two_processes_has_one_winner_alone) {
    constexpr std::uint32_t slot = 5;
    auto the_board = board::create(8);
    void* shared =
        ::mmap(nullptr, sizeof(meeting_place), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    auto& place = *new (shared) meeting_place;
    const pid_t manager = ::fork();
    ASSERT_GE(manager, 0);
    if (manager == 0)
        ::_exit(claim_every_round(the_board.descriptor(), place, slot));

    std::minstd_rand random(1);
    unsigned delay = 64;
    std::uint32_t revoked_count = 0;
    std::uint32_t claimed_count = 0;
    for (std::uint32_t round = 0; round < meeting_place::rounds; ++round) {
        const std::uint64_t sequence = offer_ticket(the_board.slot(slot));
        place.sequences[round] = sequence;
        place.offered.store(round + 1, std::memory_order_release);
        dawdle(static_cast<unsigned>(random() % (2 * delay)));
        const bool revoked = revoke_ticket(the_board.slot(slot), sequence);
        // Whoever won has it harder next time, so that both come at the same moment on any machine.
        delay = revoked ? delay + delay / 8 + 1 : delay - delay / 8;
        wait_until(place.concluded, round + 1);
        const bool claimed = place.claimed[round];
        ASSERT_NE(revoked, claimed) << "round " << round << ": " << (claimed ? "two owners" : "no owner");
        EXPECT_EQ(ticket_state_of(the_board.slot(slot), sequence),
                  claimed ? ticket_state::claimed : ticket_state::revoked);
        revoked_count += revoked;
        claimed_count += claimed;
    }
    int status = -1;
    ASSERT_EQ(::waitpid(manager, &status, 0), manager);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    // Else there was no race.
    EXPECT_GT(revoked_count, meeting_place::rounds / 20);
    EXPECT_GT(claimed_count, meeting_place::rounds / 20);
    ::munmap(shared, sizeof(meeting_place));
}

/// Every response of clients that ask as fast as they can, while claims and time-outs meet: whole, and once.
struct tally {
    std::atomic<unsigned> right = 0;
    std::atomic<unsigned> wrong = 0;
};

void ask(const site& here, unsigned requests, tally& result) {
    const std::string expected = sequence_bytes(0, size);
    for (unsigned i = 0; i < requests; ++i) {
        auto raw = here.connect();
        raw.send(here.get_request("/file", new_probe(), "Connection: close\r\n"));
        const std::string head = raw.read_head();
        // All that comes until the end: bytes of a second sender would be among them.
        ++(status_of(head) == 200 && raw.read_to_end() == expected ? result.right : result.wrong);
    }
}

class claim_races : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(claim_races, EVERY_SERVICE);

TEST_P(claim_races, with_a_manager_that_answers_at_the_last_moment_alone) {
    constexpr unsigned clients = 4;
    constexpr unsigned requests = 400;
    site here({.how = GetParam(),
               .httpd = {.configuration = "DLHandoffClaimTimeout 2ms\n"},
               .start_manager = false});
    here.add_document("file", size);
    std::atomic<unsigned> claimed = 0;
    std::atomic<unsigned> revoked = 0;
    const fake_manager fake(here.manager().socket(), [&](auto& peer) {
        std::minstd_rand random(static_cast<unsigned>(::gettid()));
        peer.say_hello();
        while (const auto offer = peer.next_offer()) {
            // Around the worker's time-out, less what a sleep takes anyway.
            std::this_thread::sleep_for(std::chrono::microseconds(1000 + random() % 1500));
            if (peer.claim(*offer)) {
                ++claimed;
                peer.answer(*offer, true);
                peer.send_response(*offer);
            } else {
                ++revoked;
                peer.answer(*offer, false, refusal::ticket);
            }
        }
    });
    tally result;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < clients; ++i)
        threads.emplace_back([&] { ask(here, requests, result); });
    for (std::thread& one : threads)
        one.join();
    EXPECT_EQ(result.right, clients * requests);
    EXPECT_EQ(result.wrong, 0U);
    EXPECT_GT(claimed, clients * requests / 100);
    EXPECT_GT(revoked, clients * requests / 100);
    EXPECT_TRUE(eventually([&] { return here.httpd().requests_with_note("claimed") == claimed; }))
        << here.httpd().requests_with_note("claimed") << " notes, " << claimed << " claims";
}

TEST_P(claim_races, with_a_manager_that_stops_and_goes_on_alone) {
    constexpr unsigned clients = 4;
    constexpr unsigned requests = 200;
    site here({.how = GetParam(), .httpd = {.configuration = "DLHandoffClaimTimeout 1ms\n"}});
    here.add_document("file", size);
    std::atomic<bool> done = false;
    std::thread disturber([&] {
        std::minstd_rand random(7);
        const pid_t manager = here.manager().manager_pid();
        while (!done) {
            ::kill(manager, SIGSTOP);
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
            ::kill(manager, SIGCONT);
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 6000));
        }
        ::kill(manager, SIGCONT);
    });
    tally result;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < clients; ++i)
        threads.emplace_back([&] { ask(here, requests, result); });
    for (std::thread& one : threads)
        one.join();
    done = true;
    disturber.join();
    EXPECT_EQ(result.right, clients * requests);
    EXPECT_EQ(result.wrong, 0U);
    const auto transfers = [&] { return here.transfers().lines().size(); };
    EXPECT_TRUE(eventually([&] { return transfers() == here.httpd().requests_with_note("claimed"); }))
        << transfers() << " transfers, " << here.httpd().requests_with_note("claimed") << " claims";
    EXPECT_GT(transfers(), 0U);
    EXPECT_GT(here.httpd().requests_with_note("declined:manager-timeout"), 0U);
    for (const auto& line : here.transfers().lines())
        EXPECT_EQ(line.at("outcome"), "complete") << line;
}

} // namespace
} // namespace dlhandoff::test
