// A manager that is absent, hung, full, killed or not a manager at all costs the client nothing.
#include "tests/integration/harness/fake_manager.hpp"
#include "tests/integration/harness/site.hpp"

#include "shared/release.hpp"

#include <csignal>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 300'000;
constexpr std::uint64_t large = 32 << 20;

/// One worker that takes requests, so that each test knows who has met the fault already. The times that
/// tests expect of responses are well below the claim timeout, or above: whether it was waited for is what
/// they tell.
site_options one_worker(const setup& how, const std::string& claim_timeout = "1s",
                        bool start_manager = true) {
    return {.how = how,
            .httpd = {.processes = 1,
                      .threads = 1,
                      .configuration = "DLHandoffClaimTimeout " + claim_timeout + "\n"},
            .start_manager = start_manager};
}

/// Requests until one is handed off; how long that took.
std::chrono::milliseconds time_until_handed_off(site& here, http_client& client) {
    return duration_of([&] {
        EXPECT_TRUE(eventually([&] {
            const auto response = client.get("/file");
            EXPECT_EQ(response.body_bytes, size);
            return here.httpd().note_of(response.probe) == "claimed";
        }));
    });
}

class manager_faults : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(manager_faults, EVERY_SERVICE);

TEST_P(manager_faults, absence_costs_nothing_alone) {
    site here(one_worker(GetParam(), "2s", false));
    here.add_document("file", size);
    auto client = here.client();
    for (int i = 0; i < 20; ++i) {
        const auto response = client.get("/file");
        here.expect_served(response, "file", "manager-down");
        EXPECT_LT(response.duration, 1s);
        EXPECT_EQ(response.new_connections, i == 0 ? 1 : 0) << "served by httpd, so it keeps the connection";
    }
    // Once a minute at most.
    const std::string log = here.httpd().error_log();
    const auto said = log.find("httpd serves downloads itself");
    EXPECT_NE(said, std::string::npos);
    EXPECT_EQ(log.find("httpd serves downloads itself", said + 1), std::string::npos);
    EXPECT_NE(log.find(here.manager().socket()), std::string::npos);

    here.manager().start();
    EXPECT_LT(time_until_handed_off(here, client), 3s);
}

TEST_P(manager_faults, hanging_costs_the_claim_timeout_once_alone) {
    site here(one_worker(GetParam()));
    here.add_document("file", size);
    here.expect_handed_off(here.client().get("/file"), "file");
    here.manager().hang();
    auto client = here.client(); // a connection that the manager has would hang with it
    const auto first = client.get("/file");
    here.expect_served(first, "file", "manager-timeout");
    EXPECT_GE(first.duration, 1s);
    EXPECT_LT(first.duration, 2s);
    for (int i = 0; i < 10; ++i) {
        const auto response = client.get("/file");
        here.expect_served(response, "file", "manager-unresponsive");
        EXPECT_LT(response.duration, 600ms);
    }
    here.manager().resume();
    EXPECT_LT(time_until_handed_off(here, client), 3s);
    // The offer that was revoked is not sent a second time.
    EXPECT_TRUE(eventually(
        [&] { return here.transfers().lines().size() == here.httpd().requests_with_note("claimed"); }));
}

TEST_P(manager_faults, hanging_before_the_first_offer_costs_the_claim_timeout_once_alone) {
    site here(one_worker(GetParam()));
    here.add_document("file", size);
    here.manager().hang();
    auto client = here.client();
    const auto first = client.get("/file");
    here.expect_served(first, "file", "manager-unresponsive");
    EXPECT_LT(first.duration, 2s);
    for (int i = 0; i < 10; ++i) {
        const auto response = client.get("/file");
        here.expect_served(response, "file", "manager-unresponsive");
        EXPECT_LT(response.duration, 600ms);
    }
    here.manager().resume();
    EXPECT_LT(time_until_handed_off(here, client), 3s);
}

TEST_P(manager_faults, death_before_the_offer_costs_nothing_alone) {
    site here(one_worker(GetParam(), "5s"));
    here.add_document("file", size);
    auto client = here.client();
    here.expect_handed_off(client.get("/file"), "file");
    here.manager().kill();
    for (int i = 0; i < 5; ++i) {
        const auto response = client.get("/file");
        here.expect_served(response, "file", "manager-down");
        EXPECT_LT(response.duration, 2s);
    }
    here.manager().start();
    EXPECT_LT(time_until_handed_off(here, client), 3s);
}

TEST_P(manager_faults, death_while_a_worker_waits_costs_nothing) {
    site here(one_worker(GetParam(), "20s"));
    here.add_document("file", size);
    auto client = here.client();
    here.expect_handed_off(client.get("/file"), "file");
    here.manager().hang();
    http_response response;
    std::thread waiting([&] { response = client.get("/file"); });
    // The worker sleeps in its wait for the answer once the request is read: nothing else could hold the
    // response up.
    std::this_thread::sleep_for(200ms);
    here.manager().kill();
    waiting.join();
    here.expect_served(response, "file", "manager-down");
    EXPECT_GE(response.duration, 150ms);
    EXPECT_LT(response.duration, 5s);
}

TEST_P(manager_faults, death_after_the_claim_ends_the_response_short) {
    site here(one_worker(GetParam()));
    here.add_document("file", large);
    auto raw = here.connect(small_receive_buffer);
    raw.send(here.get_request("/file", "cut"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    const std::string begin = raw.read(1 << 20);
    EXPECT_EQ(here.httpd().note_of("cut"), "claimed");
    here.manager().kill();
    const std::string all = begin + raw.read_to_end();
    EXPECT_GE(all.size(), std::size_t{1} << 20);
    EXPECT_LT(all.size(), large);
    EXPECT_TRUE(all == sequence_bytes(0, all.size())) << "a wrong byte among those that came";
    here.manager().start();
    EXPECT_TRUE(eventually([&] {
        const auto response = here.client().get("/file");
        EXPECT_EQ(response.body_bytes, large);
        return here.httpd().note_of(response.probe) == "claimed";
    }));
}

TEST_P(manager_faults, an_exhausted_manager_leaves_the_rest_to_httpd) {
    site here({.how = GetParam(), .start_manager = false});
    here.manager().start(32);
    here.add_document("small", size);
    std::vector<raw_client> slow;
    const auto next_is_claimed = [&] {
        const std::string name = "large" + std::to_string(slow.size());
        make_sparse_document(here.document(name), large);
        const std::size_t before = here.httpd().requests_with_note("claimed");
        auto& one = slow.emplace_back(here.connect(small_receive_buffer));
        one.send(here.get_request("/" + name, new_probe()));
        EXPECT_EQ(status_of(one.read_head()), 200);
        // What httpd serves itself is logged when it ends.
        return eventually([&] { return here.httpd().requests_with_note("claimed") > before; }, 500ms);
    };
    // Each download of another file takes two descriptors.
    while (slow.size() < 16 && next_is_claimed()) {
    }
    EXPECT_GT(slow.size(), 3U);
    ASSERT_LT(slow.size(), 16U) << "the limit of 32 descriptors was never met";
    slow.back().reset();
    auto client = here.client();
    const auto refused = client.get("/small");
    here.expect_served(refused, "small");
    const std::string note = here.httpd().note_of(refused.probe);
    EXPECT_TRUE(note == "declined:descriptors-lost" || note == "declined:full" ||
                note == "declined:manager-down")
        << note;
    slow.clear();
    here.add_document("file", size);
    EXPECT_LT(time_until_handed_off(here, client), 5s);
}

/// httpd with somebody else in the manager's place.
class false_manager : public ::testing::TestWithParam<setup> {
  protected:
    void run(const fake_manager::behaviour& act, const std::string& reason,
             std::chrono::milliseconds first_within, std::chrono::milliseconds next_within,
             const std::string& said = "") {
        site here(one_worker(GetParam(), "250ms", false));
        here.add_document("file", size);
        const fake_manager fake(here.manager().socket(), act);
        auto client = here.client();
        for (int i = 0; i < 10; ++i) {
            SCOPED_TRACE(i);
            const auto response = client.get("/file");
            here.expect_served(response, "file", reason);
            EXPECT_LT(response.duration, i == 0 ? first_within : next_within);
        }
        EXPECT_GE(fake.connections(), 1U);
        EXPECT_NE(here.httpd().error_log().find(said), std::string::npos);
    }
};
INSTANTIATE_FOR_SETUPS(false_manager, EVERY_SERVICE);

TEST_P(false_manager, that_says_nothing_costs_the_claim_timeout_once_alone) {
    run([](auto& peer) { peer.stay_silent(); }, "manager-unresponsive", 750ms, 200ms);
}

TEST_P(false_manager, that_hangs_up_costs_nothing_alone) {
    run([](auto& peer) { peer.close(); }, "manager-down", 200ms, 200ms);
}

TEST_P(false_manager, of_another_version_costs_nothing_alone) {
    run(
        [](auto& peer) {
            auto message = encode(hello{});
            auto header = make_header(message_type::hello, message.size());
            ++header.version;
            std::memcpy(message.data(), &header, sizeof header);
            peer.say(message);
            peer.stay_silent();
        },
        "wire-version", 200ms, 200ms,
        "the manager speaks wire version " + std::to_string(wire_version + 1) + ", and mod_dlhandoff " +
            release() + " speaks " + std::to_string(wire_version));
}

TEST_P(false_manager, without_a_board_costs_nothing_alone) {
    run(
        [](auto& peer) {
            peer.say(encode(hello{}));
            peer.stay_silent();
        },
        "board", 200ms, 200ms);
}

TEST_P(false_manager, that_talks_garbage_costs_nothing_alone) {
    run(
        [](auto& peer) {
            const std::string text = "HTTP/1.1 400 Bad Request\r\n\r\n";
            peer.say(std::as_bytes(std::span(text)));
            peer.stay_silent();
        },
        "wire-version", 200ms, 200ms);
}

TEST_P(false_manager, that_refuses_costs_nothing_alone) {
    run(
        [](auto& peer) {
            peer.say_hello();
            while (const auto offer = peer.next_offer())
                peer.answer(*offer, false, refusal::full);
        },
        "full", 200ms, 200ms);
}

TEST_P(false_manager, that_dies_with_the_offer_costs_nothing_alone) {
    run(
        [](auto& peer) {
            peer.say_hello();
            (void)peer.next_offer();
            peer.close();
        },
        "manager-down", 200ms, 200ms);
}

TEST_P(false_manager, that_dies_between_claim_and_answer_costs_nothing_alone) {
    run(
        [](auto& peer) {
            peer.say_hello();
            if (const auto offer = peer.next_offer()) {
                EXPECT_TRUE(peer.claim(*offer));
            }
            peer.close();
        },
        "manager-down", 200ms, 200ms);
}

TEST_P(false_manager, that_dies_after_its_answer_ends_the_connection) {
    site here(one_worker(GetParam(), "250ms", false));
    here.add_document("file", size);
    const fake_manager fake(here.manager().socket(), [](auto& peer) {
        peer.say_hello();
        if (const auto offer = peer.next_offer()) {
            EXPECT_TRUE(peer.claim(*offer));
            peer.answer(*offer, true);
        }
        peer.close();
    });
    auto raw = here.connect();
    raw.send(here.get_request("/file", "lost"));
    EXPECT_EQ(raw.read_to_end(), "") << "httpd must not write once the manager has claimed";
    EXPECT_EQ(here.httpd().note_of("lost"), "claimed");
}

TEST_P(false_manager, that_claims_late_finds_the_offer_revoked_alone) {
    site here(one_worker(GetParam(), "500ms", false));
    here.add_document("file", size);
    std::atomic<int> won = 0;
    std::atomic<int> lost = 0;
    const fake_manager fake(here.manager().socket(), [&](auto& peer) {
        peer.say_hello();
        while (const auto offer = peer.next_offer()) {
            std::this_thread::sleep_for(1500ms);
            ++(peer.claim(*offer) ? won : lost);
            peer.answer(*offer, false, refusal::ticket);
        }
    });
    auto client = here.client();
    const auto response = client.get("/file");
    here.expect_served(response, "file", "manager-timeout");
    EXPECT_GE(response.duration, 500ms);
    EXPECT_LT(response.duration, 1400ms) << "the late answer was waited for";
    EXPECT_TRUE(eventually([&] { return lost == 1; }));
    EXPECT_EQ(won, 0);
}

TEST_P(false_manager, that_claims_and_answers_late_is_the_only_one_who_sends) {
    site here(one_worker(GetParam(), "1s", false));
    here.add_document("file", size);
    const fake_manager fake(here.manager().socket(), [](auto& peer) {
        peer.say_hello();
        while (const auto offer = peer.next_offer()) {
            EXPECT_TRUE(peer.claim(*offer));
            std::this_thread::sleep_for(1300ms);
            peer.answer(*offer, true);
            peer.send_response(*offer);
        }
    });
    auto raw = here.connect();
    raw.send(here.get_request("/file", "late"));
    EXPECT_EQ(status_of(raw.read_head()), 200);
    EXPECT_TRUE(raw.read_to_end() == sequence_bytes(0, size));
    EXPECT_EQ(here.httpd().note_of("late"), "claimed");
}

} // namespace
} // namespace dlhandoff::test
