#include "tests/unit/mod_dlhandoff/client_fixture.hpp"

#include "mod_dlhandoff/manager_connection.hpp"

#include <memory>
#include <variant>

namespace dlhandoff::httpd::test {
namespace {

using clock = std::chrono::steady_clock;

class ManagerConnection : public client_fixture {
  protected:
    /// One that has been greeted.
    [[nodiscard]] std::unique_ptr<manager_connection> connect() const {
        auto made = manager_connection::connect(path_);
        auto result = std::get<std::unique_ptr<manager_connection>>(std::move(made));
        EXPECT_FALSE(result->await_hello(clock::now() + patient, nullptr));
        return result;
    }
    [[nodiscard]] std::optional<handoff_result> hand_off_on(manager_connection& connection) {
        offer one = some_offer();
        const std::array descriptors{null_.get(), null_.get()};
        auto result = connection.hand_off(one, descriptors, clock::now() + patient);
        ticket_ = one.claim_ticket();
        return result;
    }
    /// As if the slot's earlier owner, which knows the last word there, did not know yet that it has ended.
    static void offer_as_earlier_owner(const manager_connection& connection, std::uint32_t slot) {
        ticket_slot& shared = connection.the_board()->slot(slot);
        ASSERT_TRUE(offer_next_ticket(shared, last_sequence(shared)));
    }
};

TEST_F(ManagerConnection, GoesPastTheOfferOfASlotsEarlierOwner) {
    fake_manager manager(path_);
    const auto connection = connect();
    offer_as_earlier_owner(*connection, 0); // which is the first one's
    auto result = hand_off_on(*connection);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->claimed());
    EXPECT_EQ(ticket_, (ticket{0, 2}));
    result = hand_off_on(*connection);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->claimed());
}

TEST_F(ManagerConnection, LeavesASlotAloneThatIsAnothersNow) {
    fake_manager manager(path_);
    const auto connection = connect();
    manager.hang_up(0);
    while (manager.open_connections() != 0)
        std::this_thread::yield();
    offer_as_earlier_owner(*connection, 0);
    EXPECT_FALSE(hand_off_on(*connection));
    EXPECT_EQ(connection->now(), manager_connection::state::broken);
    EXPECT_EQ(ticket_state_of(connection->the_board()->slot(0), 1), ticket_state::offered);
    EXPECT_EQ(last_sequence(connection->the_board()->slot(0)), 1U);
}

} // namespace
} // namespace dlhandoff::httpd::test
