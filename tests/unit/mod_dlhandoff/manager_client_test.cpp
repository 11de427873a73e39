#include "tests/unit/mod_dlhandoff/client_fixture.hpp"

#include <atomic>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dlhandoff::httpd::test {
namespace {

using clock = std::chrono::steady_clock;
using to_offer = fake_manager::to_offer;
using to_worker = fake_manager::to_worker;

using ManagerClient = client_fixture;

TEST_F(ManagerClient, HandsOff) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager.descriptors(), 2U);
    EXPECT_TRUE(manager.claims().at({ticket_.slot, ticket_.sequence}));
}

TEST_F(ManagerClient, UsesAConnectionAgain) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager.connections(), 1U);
    EXPECT_EQ(manager.offers(), 5U);
}

TEST_F(ManagerClient, TellsTheRefusal) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    manager.set(to_offer::refuses);
    EXPECT_DECLINED(hand_off(client), refusal::full);
    manager.set(to_offer::refuses_unnumbered);
    EXPECT_DECLINED(hand_off(client), refusal::malformed);
    manager.set(to_offer::claims);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager.connections(), 1U);
}

TEST_F(ManagerClient, GivesNothingToSomebodyElse) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can be somebody else";
    constexpr uid_t nobody = 65534;
    const std::string folder = path_.substr(0, path_.rfind('/'));
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    // Whose socket it is counts, not who serves it: listen() notes the user (unix(7)).
    ASSERT_EQ(::seteuid(nobody), 0);
    fake_manager manager(path_);
    ASSERT_EQ(::seteuid(0), 0);
    manager_client client(path_, patient);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_user);
    EXPECT_EQ(manager.offers(), 0U);
    // The owner of the directory may.
    ASSERT_EQ(::chown(folder.c_str(), nobody, nobody), 0);
    expect_claimed_soon(client);
}

TEST_F(ManagerClient, LeavesAnAbsentManagerAloneForAWhile) {
    manager_client client(path_, patient);
    const auto failed = clock::now();
    const handoff_result result = hand_off(client);
    EXPECT_DECLINED(result, decline_reason::manager_down);
    EXPECT_EQ(result.error, ENOENT);
    fake_manager manager(path_);
    const handoff_result again = hand_off(client);
    if (clock::now() - failed < manager_client::pause) {
        EXPECT_DECLINED(again, decline_reason::manager_down);
        EXPECT_EQ(manager.connections(), 0U);
    }
    expect_claimed_soon(client);
}

TEST_F(ManagerClient, FindsTheNewManagerAtOnce) {
    std::optional<fake_manager> manager(std::in_place, path_);
    manager_client client(path_, patient);
    ASSERT_TRUE(hand_off(client).claimed());
    manager.reset();
    manager.emplace(path_);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager->connections(), 1U);
}

TEST_F(ManagerClient, NoticesThatTheManagerHasGone) {
    std::optional<fake_manager> manager(std::in_place, path_);
    manager_client client(path_, patient);
    ASSERT_TRUE(hand_off(client).claimed());
    manager.reset();
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_down);
    EXPECT_LT(took_, patient / 2);
}

TEST_F(ManagerClient, TakesAnOfferBackThatIsNotAnsweredInTime) {
    fake_manager manager(path_);
    manager_client client(path_, brief);
    ASSERT_TRUE(hand_off(client).claimed());
    manager.set(to_offer::hangs);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_timeout);
    EXPECT_GE(took_, brief);
    const ticket revoked = ticket_;

    // While the answer is owed, nobody waits and nothing is offered.
    const std::size_t offers = manager.offers();
    for (int i = 0; i < 100; ++i)
        EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_EQ(manager.offers(), offers);

    manager.set(to_offer::claims);
    manager.release();
    expect_claimed_soon(client);
    EXPECT_EQ(manager.connections(), 1U);
    EXPECT_FALSE(manager.claims().at({revoked.slot, revoked.sequence}));
}

TEST_F(ManagerClient, BelievesTheBoardWhenTheAnswerIsLate) {
    fake_manager manager(path_);
    manager_client client(path_, brief);
    ASSERT_TRUE(hand_off(client).claimed());
    manager.set(to_offer::claims_and_hangs);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_GE(took_, brief);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    manager.set(to_offer::claims);
    manager.release();
    expect_claimed_soon(client);
}

TEST_F(ManagerClient, ServesWhatAManagerClaimedAndNeverAnswered) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    manager.set(to_offer::claims_and_closes);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_down);
    EXPECT_TRUE(manager.claims().at({ticket_.slot, ticket_.sequence}));
}

TEST_F(ManagerClient, HearsTheAnswerOfAManagerThatHasGone) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    manager.set(to_offer::answers_and_closes);
    EXPECT_TRUE(hand_off(client).claimed());
    manager.set(to_offer::claims);
    expect_claimed_soon(client);
    EXPECT_EQ(manager.connections(), 2U);
}

TEST_F(ManagerClient, ServesAfterGarbageUnlessItWasClaimed) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    manager.set(to_offer::answers_garbage);
    EXPECT_DECLINED(hand_off(client), decline_reason::wire_version);
    manager.set(to_offer::claims_and_answers_garbage);
    EXPECT_TRUE(hand_off(client).claimed());
}

TEST_F(ManagerClient, RefusesAnotherVersion) {
    fake_manager manager(path_, to_worker::greets_in_another_version);
    manager_client client(path_, patient);
    EXPECT_DECLINED(hand_off(client), decline_reason::wire_version);
    const auto again = hand_off(client); // what was heard is remembered
    EXPECT_DECLINED(again, decline_reason::wire_version);
    EXPECT_EQ(again.manager_wire, wire_version + 1);
    EXPECT_EQ(manager.offers(), 0U);
}

TEST_F(ManagerClient, RefusesAnotherBoard) {
    for (const auto greeting : {to_worker::brings_no_board, to_worker::brings_another_board}) {
        fake_manager manager(path_, greeting);
        manager_client client(path_, patient);
        EXPECT_DECLINED(hand_off(client), decline_reason::board);
        EXPECT_EQ(manager.offers(), 0U);
    }
}

TEST_F(ManagerClient, ComesBackAtOnceToOneThatHadNoRoomForTheConnection) {
    fake_manager manager(path_, fake_manager::to_worker::turns_away);
    manager_client client(path_, patient);
    EXPECT_DECLINED(hand_off(client), refusal::full);
    EXPECT_DECLINED(hand_off(client), refusal::full);
    EXPECT_EQ(manager.connections(), 2u);
    manager.set_greeting(fake_manager::to_worker::greets);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager.connections(), 3u);
}

TEST_F(ManagerClient, HearsWhyItsNewConnectionHasEnded) {
    fake_manager manager(path_, fake_manager::to_worker::greets_and_regrets);
    manager_client client(path_, patient);
    for (std::size_t i = 1; i <= 20; ++i) {
        EXPECT_DECLINED(hand_off(client), refusal::full);
        EXPECT_EQ(manager.connections(), i);
    }
    EXPECT_EQ(manager.offers(), 0U);
}

TEST_F(ManagerClient, ConnectsAgainWhenAManagerEndsWithoutAHello) {
    fake_manager manager(path_, fake_manager::to_worker::closes);
    manager_client client(path_, patient);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(manager.connections(), 2U);
}

TEST_F(ManagerClient, WaitsOnceForAHello) {
    fake_manager manager(path_, to_worker::says_nothing);
    manager_client client(path_, brief);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_GE(took_, brief);
    for (int i = 0; i < 100; ++i)
        EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_EQ(manager.connections(), 1U);
    manager.release();
    expect_claimed_soon(client);
    EXPECT_EQ(manager.connections(), 1U);
}

TEST_F(ManagerClient, ServesManyThreads) {
    fake_manager manager(path_);
    manager_client client(path_, patient);
    constexpr int threads = 8;
    constexpr int rounds = 250;
    std::atomic<int> claimed{0};
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i)
            workers.emplace_back([&] {
                const std::array descriptors{null_.get(), null_.get()};
                for (int round = 0; round < rounds; ++round) {
                    offer one = some_offer();
                    claimed += client.hand_off(one, descriptors).claimed() ? 1 : 0;
                }
            });
    }
    EXPECT_EQ(claimed, threads * rounds);
    EXPECT_LE(manager.connections(), static_cast<std::size_t>(threads));
}

TEST_F(ManagerClient, HasOneOwnerHoweverTheClaimAndTheTimeOutMeet) {
    constexpr auto timeout = 150us;
    constexpr std::size_t races = 2'000;
    fake_manager manager(path_);
    manager.set(to_offer::claims_late);
    manager.set_lateness(2 * timeout);
    manager_client client(path_, timeout);
    std::map<std::pair<std::uint32_t, std::uint64_t>, bool> owned_by_manager;
    const auto until = clock::now() + 60s;
    while (owned_by_manager.size() < races && clock::now() < until) {
        const handoff_result result = hand_off(client);
        if (ticket_.sequence != 0)
            owned_by_manager[{ticket_.slot, ticket_.sequence}] = result.claimed();
        else
            std::this_thread::yield(); // the last answer is owed
    }
    ASSERT_EQ(owned_by_manager.size(), races);
    // The last answers may be under way.
    while (manager.claims().size() < owned_by_manager.size() && clock::now() < until)
        std::this_thread::yield();
    EXPECT_EQ(manager.claims(), owned_by_manager);
    std::size_t handed_off = 0;
    for (const auto& [number, claimed] : owned_by_manager)
        handed_off += claimed ? 1 : 0;
    EXPECT_GT(handed_off, 0U);
    EXPECT_LT(handed_off, owned_by_manager.size());
}

} // namespace
} // namespace dlhandoff::httpd::test
