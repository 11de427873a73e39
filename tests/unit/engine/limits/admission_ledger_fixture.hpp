#pragma once

#include "engine/limits/admission.hpp"

#include <chrono>
#include <deque>
#include <gtest/gtest.h>
#include <string>

namespace dlhandoff::test {

using namespace std::chrono_literals;
using engine::admission;
using engine::class_limits;
using engine::clock;
using engine::ledger;
using engine::ledger_member;
using engine::limit_table;
using answer = admission::answer;
using entry = admission::entry;

inline limit_table limits_of(std::uint32_t transfers, std::uint32_t per_client = 0) {
    limit_table limits;
    limits.all.transfers = transfers;
    limits.all.per_client = per_client;
    limits.classes = {{"default", {}, 1, 0}, {"bulk", {}, 1, 0}, {"urgent", {}, 1, 5}};
    return limits;
}

/// Two engines that share limits.
class admission_ledger : public ::testing::Test {
  protected:
    struct engine_side {
        engine_side(const ledger& table, const limit_table& limits)
            : member(*table.join()), queue(limits, &member) {}
        ~engine_side() {
            for (auto& one : entries)
                queue.leave(one);
        }
        engine_side(const engine_side&) = delete;
        engine_side& operator=(const engine_side&) = delete;

        /// What enter() and foresee() say.
        answer enter(const std::string& client, std::size_t in = 0) {
            entries.emplace_back();
            const auto foreseen = queue.foresee(in, client, now);
            const auto got = queue.enter(entries.back(), in, client, now);
            EXPECT_EQ(foreseen, got) << "nobody else is under way";
            return got;
        }
        /// How many start now.
        int start() {
            int started = 0;
            while (queue.next(now) != nullptr)
                ++started;
            return started;
        }
        int recheck() {
            queue.recheck();
            return start();
        }
        void leave(std::size_t index) { queue.leave(entries[index]); }

        ledger_member member;
        admission queue;
        std::deque<entry> entries;
        clock::time_point now{1000s};
    };

    const ledger table_ = ledger::create(3);
    const ledger roomy_ = ledger::create(2, ledger::max_bits); ///< for many clients: no two share their cells
};

} // namespace dlhandoff::test
