#pragma once

#include "tests/unit/mod_dlhandoff/fake_manager.hpp"

#include "mod_dlhandoff/manager_client.hpp"
#include "shared/offer.hpp"

#include <array>
#include <chrono>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <thread>

namespace dlhandoff::httpd::test {

using namespace std::chrono_literals;

/// Long enough for any manager that answers at all, on any machine.
constexpr auto patient = 10s;
/// Waited for in full by tests of what happens afterwards.
constexpr auto brief = 100ms;

inline offer some_offer() {
    constexpr std::string_view head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    const file_identity file{1, 2, 100'000, 3};
    const std::array pieces{plan_piece{plan_piece::source::memory, 0, 0, head.size()},
                            plan_piece{plan_piece::source::file, 0, 0, 100'000}};
    request_facts facts;
    facts.uri = "/file";
    auto made = offer::make(facts, {&file, 1}, pieces, std::as_bytes(std::span(head)));
    return std::get<offer>(std::move(made));
}

/// A path for a fake_manager, and offers made there.
class client_fixture : public testing::Test {
  protected:
    handoff_result hand_off(manager_client& client) {
        offer one = some_offer();
        const std::array descriptors{null_.get(), null_.get()};
        const auto began = std::chrono::steady_clock::now();
        handoff_result result = client.hand_off(one, descriptors);
        took_ = std::chrono::steady_clock::now() - began;
        ticket_ = one.claim_ticket();
        return result;
    }

    /// Until it is claimed: nothing else says from outside that a pause is over or a late answer has been
    /// taken.
    void expect_claimed_soon(manager_client& client) {
        handoff_result result;
        for (const auto until = std::chrono::steady_clock::now() + patient;
             std::chrono::steady_clock::now() < until;) {
            result = hand_off(client);
            if (result.claimed())
                return;
            std::this_thread::yield();
        }
        FAIL() << "not claimed, but declined: " << name(*result.declined);
    }

    socket_directory directory_;
    std::string path_ = directory_.socket_path();
    file_descriptor null_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    std::chrono::steady_clock::duration took_{};
    ticket ticket_;
};

#define EXPECT_DECLINED(result, why)                                                                         \
    do {                                                                                                     \
        const handoff_result outcome = (result);                                                             \
        ASSERT_FALSE(outcome.claimed());                                                                     \
        EXPECT_EQ(name(*outcome.declined), name(decline(why)));                                              \
    } while (false)

} // namespace dlhandoff::httpd::test
