// Connections of workers find a manager, also when many come at once.
#include "dlmanagerd/supervisor/session_dispatch.hpp"

#include "shared/manager_choice.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <array>
#include <filesystem>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::Not;
using ::testing::SizeIs;

class session_dispatch_test : public ::testing::Test {
  public:
    session_dispatch_test() {
        std::string pattern = "/tmp/dlhandoff-dispatch-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr)
            throw_errno("mkdtemp");
        directory = pattern;
        for (std::uint32_t index = 0; index < the_board.managers(); ++index)
            set_state(index, manager_state::live);
        listen(1min);
    }
    void listen(std::chrono::milliseconds patience) {
        dispatch.reset();
        dispatch.emplace(
            loop, the_board, directory / "m.sock", std::vector<uid_t>{},
            [this](std::uint32_t manager, int, const ucred&) {
                tried.push_back(manager);
                if (states[manager] == send_result::sent)
                    passed.push_back(manager);
                return states[manager];
            },
            patience);
    }
    ~session_dispatch_test() override {
        dispatch.reset();
        std::filesystem::remove_all(directory);
    }

    void set_state(std::uint32_t index, manager_state state, room_level room = room_level::plenty) const {
        manager_status& one = the_board.manager(index);
        one.heartbeat = manager_status::asleep;
        one.room = room;
        one.state = state;
    }

    [[nodiscard]] file_descriptor connect() const {
        file_descriptor result(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!unix_address::of((directory / "m.sock").native()).value().connect(result.get()))
            throw_errno("connect");
        return result;
    }
    void go_on_until(const std::function<bool()>& condition) {
        const auto limit = engine::clock::now() + 10s;
        while (!condition()) {
            ASSERT_LT(engine::clock::now(), limit);
            loop.run_once(std::min(engine::clock::now() + 1ms, dispatch->next_deadline()));
            dispatch->run_due();
        }
    }
    void go_on_until_passed(std::size_t count) {
        go_on_until([&] { return passed.size() >= count; });
    }
    void go_on_until_tried(std::size_t count) {
        go_on_until([&] { return tried.size() >= count; });
    }
    /// As the dispatch leaves it to the worker: nothing while the connection is kept, or passed on.
    static std::string heard_by(const file_descriptor& worker) {
        received_message message;
        switch (receive_message(worker.get(), 1000, message)) {
        case receive_result::message: {
            const auto said = decode_answer(message.bytes);
            return said && !said->claimed ? std::string(name(said->reason)) : "something else";
        }
        case receive_result::would_block:
            return "nothing";
        default:
            return "the end";
        }
    }

    std::filesystem::path directory;
    engine::event_loop loop;
    board the_board = board::create(4, 3);
    std::array<send_result, 3> states{send_result::sent, send_result::sent, send_result::sent};
    std::vector<std::uint32_t> tried;
    std::vector<std::uint32_t> passed;
    std::optional<session_dispatch> dispatch;
};

TEST_F(session_dispatch_test, passes_each_connection_to_a_manager) {
    const std::array workers{connect(), connect(), connect()};
    go_on_until_passed(3);
    EXPECT_THAT(tried, SizeIs(3));
}

TEST_F(session_dispatch_test, chooses_another_manager_when_the_best_is_busy) {
    the_board.manager(0).load = 1;
    states[1] = send_result::would_block;
    the_board.manager(2).load = 2;
    const file_descriptor worker = connect();
    go_on_until_passed(1);
    EXPECT_THAT(tried, ElementsAre(1, 0));
    EXPECT_THAT(passed, ElementsAre(0));
}

TEST_F(session_dispatch_test, keeps_connections_while_all_managers_are_busy) {
    states.fill(send_result::would_block);
    std::vector<file_descriptor> workers;
    for (int i = 0; i < 50; ++i)
        workers.push_back(connect());
    go_on_until_tried(9);
    std::vector<std::string> heard;
    std::ranges::transform(workers, std::back_inserter(heard), heard_by);
    EXPECT_THAT(heard, Each("nothing"));
    EXPECT_THAT(passed, SizeIs(0));
    states[2] = send_result::sent;
    go_on_until_passed(50);
    EXPECT_EQ(dispatch->next_deadline(), engine::clock::time_point::max());
}

TEST_F(session_dispatch_test, waits_for_a_busy_manager_rather_than_asking_one_without_room) {
    set_state(0, manager_state::live, room_level::none);
    states[1] = states[2] = send_result::would_block;
    const file_descriptor worker = connect();
    go_on_until_tried(6);
    EXPECT_THAT(tried, Not(Contains(0)));
    states[1] = send_result::sent;
    go_on_until_passed(1);
    EXPECT_THAT(passed, ElementsAre(1));
}

TEST_F(session_dispatch_test, turns_away_what_no_manager_takes_in_time) {
    listen(20ms);
    states.fill(send_result::would_block);
    for (const file_descriptor& worker : std::array{connect(), connect()})
        go_on_until([&] { return heard_by(worker) == "full"; });
    EXPECT_THAT(tried.size(), Gt(6)) << "refused at once";
    EXPECT_EQ(dispatch->next_deadline(), engine::clock::time_point::max());
    states.fill(send_result::sent);
    const file_descriptor later = connect();
    go_on_until_passed(1);
}

TEST_F(session_dispatch_test, a_manager_that_starts_finds_the_connection_later) {
    set_state(0, manager_state::vacant);
    set_state(1, manager_state::starting);
    set_state(2, manager_state::draining);
    const file_descriptor worker = connect();
    go_on_until_passed(1);
    EXPECT_THAT(passed, ElementsAre(1));
}

TEST_F(session_dispatch_test, disconnects_at_once_when_there_is_no_manager) {
    states.fill(send_result::peer_gone);
    const file_descriptor worker = connect();
    go_on_until([&] { return heard_by(worker) == "the end"; });
}

} // namespace
} // namespace dlhandoff::service
