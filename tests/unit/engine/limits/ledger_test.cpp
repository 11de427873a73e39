#include "engine/limits/ledger.hpp"

#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dlhandoff::test {
namespace {

using engine::ledger;
using engine::ledger_member;
using use = ledger_member::use;

/// A process forked from this one, which does what it is told to and then waits to be killed.
class forked {
  public:
    template <class Work>
    explicit forked(Work work) {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            const char done = work() ? 'y' : 'n';
            if (::write(ends[1], &done, 1) != 1)
                ::_exit(1);
            for (;;)
                ::pause();
        }
        ::close(ends[1]);
        char done = 'n';
        EXPECT_EQ(::read(ends[0], &done, 1), 1);
        EXPECT_EQ(done, 'y') << "the forked process could not do its work";
        ::close(ends[0]);
    }
    forked(const forked&) = delete;
    forked& operator=(const forked&) = delete;
    ~forked() { kill(); }

    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        pid_ = -1;
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
};

/// Holds two active, one waiting, one with demand; never leaves by itself.
auto work_on(const ledger& table) {
    return [&table] {
        auto* const mine = new std::optional<ledger_member>(table.join()); // leaves only with the process
        if (!*mine)
            return false;
        (*mine)->add_active(0, 77);
        (*mine)->add_active(3, 77);
        (*mine)->add_waiting(3);
        (*mine)->set_demand(1);
        (*mine)->set_demand(3, 1);
        return true;
    };
}

std::string refusal_of(std::uint32_t members, std::uint32_t bits) {
    try {
        (void)ledger::create(members, bits);
    } catch (const std::invalid_argument& refused) {
        return refused.what();
    }
    return "none";
}

TEST(ledger, refuses_wrong_sizes_with_what_is_allowed) {
    EXPECT_EQ(refusal_of(0, 12), "ledger: 0 members; allowed are 1 to 65536");
    EXPECT_EQ(refusal_of(65537, 12), "ledger: 65537 members; allowed are 1 to 65536");
    EXPECT_EQ(refusal_of(1, 3), "ledger: 3 bits; allowed are 4 to 16");
    EXPECT_EQ(refusal_of(1, 17), "ledger: 17 bits; allowed are 4 to 16");
}

TEST(ledger, a_column_that_is_not_there_is_out_of_range) {
    const auto table = ledger::create(2);
    EXPECT_THROW((void)table.join(2), std::out_of_range);
    EXPECT_THROW((void)table.holder(2), std::out_of_range);
    EXPECT_THROW((void)table.clear(2, ::getpid()), std::out_of_range);
}

TEST(ledger, members_see_what_others_use_and_not_their_own) {
    const auto table = ledger::create(3);
    auto one = table.join();
    auto two = table.join();
    auto three = table.join();
    ASSERT_TRUE(one && two && three);
    one->add_active(5, 1);
    one->add_waiting(5);
    two->add_active(6, 1);
    two->set_demand(1);
    two->set_demand(6, 1);
    EXPECT_EQ(one->others(), (use{1, 0, 1}));
    EXPECT_EQ(two->others(), (use{1, 1, 0}));
    EXPECT_EQ(three->others(), (use{2, 1, 1}));
    EXPECT_EQ(three->others(5), (use{1, 1, 0}));
    EXPECT_EQ(three->others(6), (use{1, 0, 1}));
    EXPECT_EQ(three->others_active(1), 2U);
    EXPECT_EQ(three->others_active(5, 1), 1U);
    EXPECT_EQ(three->others_active(2), 0U);
    one->remove_active(5, 1);
    one->remove_waiting(5);
    two->set_demand(0);
    two->set_demand(6, 0);
    EXPECT_EQ(three->others(), (use{1, 0, 0}));
    EXPECT_EQ(three->others_active(1), 1U);
}

TEST(ledger, a_removal_too_many_does_no_harm) {
    const auto table = ledger::create(2);
    auto one = table.join();
    auto two = table.join();
    one->remove_active(0, 1);
    one->remove_waiting(0);
    EXPECT_EQ(two->others(), use{});
    EXPECT_EQ(two->others_active(1), 0U);
}

TEST(ledger, leaving_frees_the_column_and_what_it_held) {
    const auto table = ledger::create(2);
    auto one = table.join();
    auto two = table.join();
    two->add_active(1, 9);
    two->set_front(7);
    EXPECT_EQ(table.holder(1), ::getpid());
    two->leave();
    two->leave();
    EXPECT_EQ(table.holder(1), 0);
    EXPECT_EQ(one->others(), use{});
    EXPECT_EQ(one->others_active(9), 0U);
    EXPECT_EQ(one->others_better(0).count, 0U);
    EXPECT_TRUE(table.join());
}

TEST(ledger, a_full_one_takes_nobody) {
    const auto table = ledger::create(2);
    auto one = table.join();
    auto two = table.join();
    EXPECT_FALSE(table.join());
    EXPECT_FALSE(table.join(1));
    two->leave();
    EXPECT_TRUE(table.join(1));
}

TEST(ledger, a_moved_member_keeps_its_column) {
    std::optional<ledger> elsewhere; // outlives the members
    auto table = ledger::create(2);
    auto one = table.join();
    auto two = table.join();
    two->add_active(0, 1);
    ledger_member moved = std::move(*two);
    elsewhere.emplace(std::move(table));
    two.reset();
    EXPECT_EQ(one->others(), (use{1, 0, 0}));
    *one = std::move(moved); // which leaves column 0
    EXPECT_EQ(one->index(), 1U);
    EXPECT_EQ(elsewhere->holder(0), 0);
}

TEST(ledger, a_killed_member_is_cleared_by_its_supervisor_once) {
    const auto table = ledger::create(2);
    auto mine = table.join();
    forked child(work_on(table));
    const pid_t pid = child.pid();
    EXPECT_EQ(mine->others(), (use{2, 1, 1}));
    EXPECT_EQ(mine->others(3), (use{1, 1, 1}));
    EXPECT_EQ(mine->others_active(77), 2U);
    EXPECT_FALSE(table.clear(1, ::getpid())) << "it is held by another process";
    child.kill();
    EXPECT_TRUE(table.clear(1, pid));
    EXPECT_EQ(table.holder(1), 0);
    EXPECT_EQ(mine->others(), use{});
    EXPECT_EQ(mine->others(3), use{});
    EXPECT_EQ(mine->others_active(77), 0U);
    auto next = table.join(1);
    ASSERT_TRUE(next);
    next->add_active(0, 1);
    EXPECT_FALSE(table.clear(1, pid)) << "the column has another holder by now";
    EXPECT_EQ(mine->others(), (use{1, 0, 0}));
}

TEST(ledger, dead_members_are_reclaimed_and_living_ones_not) {
    const auto table = ledger::create(4);
    auto mine = table.join();
    forked killed(work_on(table));
    forked living(work_on(table));
    EXPECT_EQ(table.reclaim_dead(), 0U);
    EXPECT_EQ(mine->others(), (use{4, 2, 2}));
    killed.kill();
    EXPECT_EQ(table.reclaim_dead(), 1U);
    EXPECT_EQ(table.reclaim_dead(), 0U);
    EXPECT_EQ(table.holder(1), 0);
    EXPECT_EQ(table.holder(2), living.pid());
    EXPECT_EQ(mine->others(), (use{2, 1, 1}));
    EXPECT_EQ(mine->others_active(77), 2U);
}

TEST(ledger, who_joins_takes_a_dead_members_column_and_finds_it_empty) {
    const auto table = ledger::create(2);
    auto mine = table.join();
    forked killed(work_on(table));
    EXPECT_FALSE(table.join());
    killed.kill();
    EXPECT_EQ(mine->others(), (use{2, 1, 1}));
    auto next = table.join();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->index(), 1U);
    EXPECT_EQ(mine->others(), use{});
    EXPECT_EQ(mine->others_active(77), 0U);
}

TEST(ledger, a_member_inherited_by_fork_frees_nothing) {
    const auto table = ledger::create(2);
    auto mine = table.join();
    auto watcher = table.join();
    mine->add_active(0, 1);
    forked child([&mine] {
        mine->leave();
        return true;
    });
    EXPECT_EQ(table.holder(0), ::getpid());
    EXPECT_EQ(watcher->others(), (use{1, 0, 0}));
}

TEST(ledger, estimates_are_never_too_low_and_seldom_too_high) {
    const auto table = ledger::create(4, 10);
    auto mine = table.join();
    std::vector<ledger_member> others;
    for (int i = 0; i < 3; ++i)
        others.push_back(*table.join());
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> held; // (class, client) of all three
    std::vector<std::tuple<std::size_t, std::uint32_t, std::uint64_t>> transfers;
    std::vector<std::uint64_t> clients(400);
    for (auto& client : clients)
        client = random();
    for (int step = 0; step < 20'000; ++step) {
        if (transfers.size() < 150 || (transfers.size() < 250 && random() % 2 == 0)) {
            const auto member = random() % others.size();
            const auto in = static_cast<std::uint32_t>(random() % ledger::max_classes);
            const auto client = clients[random() % clients.size()];
            others[member].add_active(in, client);
            ++held[{in, client}];
            transfers.emplace_back(member, in, client);
        } else {
            std::swap(transfers[random() % transfers.size()], transfers.back());
            const auto [member, in, client] = transfers.back();
            transfers.pop_back();
            others[member].remove_active(in, client);
            --held[{in, client}];
        }
    }
    std::map<std::uint64_t, std::uint64_t> all;
    for (const auto& [key, count] : held) {
        all[key.second] += count;
        ASSERT_GE(mine->others_active(key.first, key.second), count);
    }
    int too_high = 0;
    for (const auto client : clients) {
        const auto estimate = mine->others_active(client);
        ASSERT_GE(estimate, all[client]);
        too_high += estimate > all[client];
    }
    // At most (2 * 250 / 1024)^4 of 400 is 23; without a minimum over rows it would be some 150.
    EXPECT_LT(too_high, 80);
    for (const auto& [member, in, client] : transfers)
        others[member].remove_active(in, client);
    for (const auto client : clients)
        ASSERT_EQ(mine->others_active(client), 0U) << "what has gone leaves nothing in the sketch";
}

TEST(ledger, a_cell_at_its_end_reads_as_no_end_of_use_until_all_have_left) {
    const auto table = ledger::create(2, 4);
    auto mine = table.join();
    auto other = table.join();
    constexpr std::uint64_t most = 65'535;
    for (std::uint64_t i = 0; i < most - 1; ++i)
        other->add_active(0, 42);
    EXPECT_EQ(mine->others_active(42), most - 1);
    for (std::uint64_t i = 0; i < 10; ++i)
        other->add_active(0, 42);
    EXPECT_EQ(mine->others().active, most + 9) << "the counters go on";
    EXPECT_GT(mine->others_active(42), std::uint64_t{1} << 32);
    for (std::uint64_t i = 0; i < 20; ++i)
        other->remove_active(0, 42);
    EXPECT_GE(mine->others_active(42), most - 11) << "too low would let a client exceed its limit";
    while (mine->others().active > 0)
        other->remove_active(0, 42);
    EXPECT_EQ(mine->others_active(42), 0U);
    other->add_active(0, 42);
    EXPECT_EQ(mine->others_active(42), 1U);
}

TEST(ledger, fronts_are_ordered_by_priority_then_by_waiting) {
    EXPECT_GT(engine::front_of(1, 2'000'000), engine::front_of(0, 1'000'000));
    EXPECT_GT(engine::front_of(0, 1'000'000), engine::front_of(0, 2'000'000));
    EXPECT_GT(engine::front_of(0, 0), engine::front_of(-1, 0));
    EXPECT_EQ(engine::front_of(40'000, 5), engine::front_of(32'767, 5));
    EXPECT_NE(engine::front_of(-2'000'000'000, 1'000'000'000'000'000'000), 0U);
}

TEST(ledger, better_fronts_of_others_are_counted) {
    const auto table = ledger::create(3);
    auto one = table.join();
    auto two = table.join();
    auto three = table.join();
    two->set_front(engine::front_of(0, 1'000'000));
    three->set_front(engine::front_of(0, 3'000'000));
    EXPECT_EQ(one->others_better(engine::front_of(0, 500'000)).count, 0U);
    EXPECT_EQ(one->others_better(engine::front_of(0, 2'000'000)).count, 1U);
    EXPECT_EQ(one->others_better(engine::front_of(0, 4'000'000)).count, 2U);
    EXPECT_EQ(one->others_better(engine::front_of(0, 4'000'000)).best, engine::front_of(0, 1'000'000));
    EXPECT_EQ(two->others_better(engine::front_of(0, 1'000'000)).count, 0U) << "its own doesn't count";
}

/// Pages that nobody used cost nothing; those of a cleared column are given back.
TEST(ledger, many_columns_cost_little) {
    const auto resident = [] {
        std::size_t kilobytes = 0;
        bool inside = false;
        FILE* const maps = std::fopen("/proc/self/smaps", "re");
        char line[512];
        while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
            const std::string text(line);
            if (text.find("dlhandoff-ledger") != std::string::npos)
                inside = true;
            else if (inside && text.rfind("Rss:", 0) == 0) {
                kilobytes += std::stoul(text.substr(4));
                inside = false;
            }
        }
        if (maps != nullptr)
            std::fclose(maps);
        return kilobytes;
    };
    const auto table = ledger::create(1024, 16); // a gigabyte, were it all used
    auto mine = table.join();
    auto other = table.join();
    for (std::uint64_t i = 0; i < 1000; ++i)
        other->add_active(0, engine::keyed_hash(mine->key(), std::to_string(i)));
    EXPECT_GE(resident(), 500U);
    other->leave();
    EXPECT_LT(resident(), 100U);
}

} // namespace
} // namespace dlhandoff::test
