// Which of several managers an offer goes to.
#include "tests/unit/mod_dlhandoff/client_fixture.hpp"

#include <unistd.h>

namespace dlhandoff::httpd::test {
namespace {

using clock = std::chrono::steady_clock;
using to_offer = fake_manager::to_offer;
using to_worker = fake_manager::to_worker;

/// A service of two managers; the client has a connection to the first.
class ManagerChoice : public client_fixture {
  protected:
    void connect_to_the_first(manager_client& client) {
        ASSERT_TRUE(hand_off(client).claimed());
        ASSERT_EQ(managers_.offers_to(0), 1U);
        managers_.pass_connections_to(1);
    }
    /// And to the second.
    void connect_to_both(manager_client& client) {
        connect_to_the_first(client);
        managers_.status(0).load = 9;
        ASSERT_TRUE(hand_off(client).claimed());
        ASSERT_EQ(managers_.offers_to(1), 1U);
        managers_.status(0).load = 0;
        ASSERT_EQ(managers_.connections(), 2U);
    }
    void beat(std::uint32_t manager, std::chrono::milliseconds ago = 0ms) {
        managers_.status(manager).heartbeat = heartbeat_at(clock::now() - ago);
    }

    fake_manager managers_{path_, to_worker::greets, 2};
};

TEST_F(ManagerChoice, IsTheOneWithTheLeastLoad) {
    manager_client client(path_, patient);
    connect_to_both(client);
    managers_.status(0).load = 2;
    managers_.status(1).load = 1;
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(1), 2U);
    managers_.status(1).load = 3;
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    EXPECT_EQ(managers_.connections(), 2U);
}

TEST_F(ManagerChoice, IsTheOneWithRoom) {
    manager_client client(path_, patient);
    connect_to_both(client);
    managers_.status(0).room = room_level::none;
    managers_.status(1).load = 1000;
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(1), 2U);
}

TEST_F(ManagerChoice, IsNoneWhenAllAreFull) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.status(0).room = managers_.status(1).room = room_level::none;
    beat(0);
    beat(1);
    EXPECT_DECLINED(hand_off(client), refusal::full);
    EXPECT_EQ(managers_.offers(), 1U);
    EXPECT_EQ(managers_.connections(), 1U);
    managers_.status(0).room = room_level::low;
    EXPECT_TRUE(hand_off(client).claimed());
}

TEST_F(ManagerChoice, IsAnotherOneWhenOneStops) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.set(0, to_offer::stops);
    beat(1, 1h); // and one that has had no turn for long: it is asked nevertheless
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    EXPECT_EQ(managers_.offers_to(1), 1U);
    managers_.set(1, to_offer::stops);
    EXPECT_DECLINED(hand_off(client), refusal::stopping);
}

TEST_F(ManagerChoice, IsAnotherOneAfterARefusalForWantOfRoom) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.set(0, to_offer::refuses);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    EXPECT_EQ(managers_.offers_to(1), 1U);
    managers_.set(1, to_offer::refuses);
    EXPECT_DECLINED(hand_off(client), refusal::full);
    EXPECT_EQ(managers_.offers_to(0), 3U);
    EXPECT_EQ(managers_.offers_to(1), 2U) << "each is asked once";
}

TEST_F(ManagerChoice, StandsAfterAnyOtherRefusal) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.set(0, to_offer::refuses_unnumbered);
    EXPECT_DECLINED(hand_off(client), refusal::malformed);
    EXPECT_EQ(managers_.offers_to(1), 0U);
}

TEST_F(ManagerChoice, IsAnotherOneWhenTheFirstDiesWithoutAnAnswer) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.set(0, to_offer::claims_and_closes);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(1), 1U);
}

TEST_F(ManagerChoice, ChangesWhenTheHeartbeatStops) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.set(0, to_offer::hangs);
    beat(0);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_GE(took_, heartbeat_limit / 2);
    EXPECT_LT(took_, patient / 2);
    EXPECT_EQ(managers_.offers_to(1), 1U);
    // The first one finds its offer revoked.
    managers_.release();
    for (const auto until = clock::now() + patient; managers_.claims().size() < 3 && clock::now() < until;)
        std::this_thread::yield();
    ASSERT_EQ(managers_.claims().size(), 3U);
    int won = 0;
    for (const auto& [number, claimed] : managers_.claims())
        won += claimed ? 1 : 0;
    EXPECT_EQ(won, 2);
}

TEST_F(ManagerChoice, StandsWhenTheOthersHeartbeatHasStoppedToo) {
    manager_client client(path_, 3 * brief);
    connect_to_the_first(client);
    managers_.set(0, to_offer::hangs);
    beat(0, 1s);
    beat(1, 1s);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_timeout);
    EXPECT_GE(took_, 3 * brief);
    EXPECT_EQ(managers_.offers_to(1), 0U);
}

TEST_F(ManagerChoice, IsAStaleOneIfNoneIsFresh) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    beat(0, 1s);
    beat(1, 1s);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    managers_.status(0).load = 1000;
    beat(0);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 3U);
}

TEST_F(ManagerChoice, IsNotHeldUpByOneThatOwesAnAnswer) {
    manager_client client(path_, brief);
    connect_to_the_first(client);
    managers_.set(0, to_offer::hangs); // though its heart beats
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_timeout);
    for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    EXPECT_EQ(managers_.offers_to(1), 20U);
    managers_.set(1, to_offer::hangs);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_timeout);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_LT(took_, brief);
}

TEST_F(ManagerChoice, IsTheSecondBestIfTheBestCannotBeConnectedTo) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.status(0).load = 1000;
    ASSERT_EQ(::unlink(path_.c_str()), 0);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 2U);
    EXPECT_TRUE(hand_off(client).claimed()) << "the pause after a failed connection does not matter";
    EXPECT_EQ(managers_.offers_to(0), 3U);
}

TEST_F(ManagerChoice, OfTheServiceAgainstTheClientsCostsNoMoreConnections) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.status(0).load = 1000;
    managers_.pass_connections_to(0);
    for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 21U);
    const auto until = std::chrono::steady_clock::now() + patient;
    while (managers_.open_connections() != 1 && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
    EXPECT_EQ(managers_.open_connections(), 1U);
}

TEST_F(ManagerChoice, IsNotOneThatHasDied) {
    manager_client client(path_, patient);
    connect_to_the_first(client);
    managers_.status(0).state = manager_state::vacant;
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(1), 1U);
    // A new one in its place is not the one that the old connection led to.
    managers_.status(0).state = manager_state::live;
    managers_.status(0).pid = 1;
    managers_.status(1).load = 1000;
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.offers_to(0), 1U);
    EXPECT_EQ(managers_.connections(), 3U);
}

TEST_F(ManagerChoice, SurvivesThatAManagerHangsUp) {
    manager_client client(path_, patient);
    connect_to_both(client);
    managers_.hang_up(0);
    EXPECT_TRUE(hand_off(client).claimed());
    EXPECT_EQ(managers_.connections(), 3U);
}

TEST_F(ManagerChoice, IsNotPassedToAnotherWhileAHelloIsOwed) {
    fake_manager silent(path_, to_worker::says_nothing, 2);
    manager_client client(path_, brief);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_EQ(silent.connections(), 1U);
}

TEST_F(ManagerChoice, HasNoMoreHellosOwedThanItsTriesNeed) {
    fake_manager silent(path_, to_worker::says_nothing, 2);
    manager_client client(path_, 1ms);
    EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    const auto until = clock::now() + manager_client::hello_pause * 2 + patient;
    // Another one is tried now and then.
    while (silent.connections() < 3 && clock::now() < until)
        EXPECT_DECLINED(hand_off(client), decline_reason::manager_unresponsive);
    EXPECT_EQ(silent.connections(), 3U);
    while (silent.open_connections() != 1 && clock::now() < until)
        std::this_thread::yield();
    EXPECT_EQ(silent.open_connections(), 1U);
}

TEST_F(client_fixture, ABoardOfADeadServiceThatWasFullIsNotBelieved) {
    for (const std::uint64_t last_beat : {heartbeat_at(clock::now() - 1s), manager_status::asleep}) {
        manager_client client(path_, patient);
        {
            fake_manager old(path_, to_worker::greets, 2);
            ASSERT_TRUE(hand_off(client).claimed());
            for (const std::uint32_t index : {0U, 1U}) {
                old.status(index).room = room_level::none;
                old.status(index).heartbeat = last_beat;
            }
        }
        fake_manager fresh(path_, to_worker::greets, 2);
        EXPECT_TRUE(hand_off(client).claimed()) << last_beat;
        EXPECT_EQ(fresh.offers(), 1U);
    }
}

} // namespace
} // namespace dlhandoff::httpd::test
