#pragma once

#include "engine/limits/admission.hpp"

#include <chrono>
#include <deque>
#include <gtest/gtest.h>
#include <initializer_list>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace dlhandoff::test {

using engine::admission;
using engine::class_limits;
using engine::clock;
using engine::ledger;
using engine::ledger_member;
using engine::limit_table;
using answer = admission::answer;
using state = admission::entry::state;

/// A download, with a name for what a test expects to see.
struct download : admission::entry {
    explicit download(std::string called) : name(std::move(called)) {}
    std::string name;
};

inline class_limits a_class(std::string name, std::uint32_t weight = 1, std::int32_t priority = 0) {
    return {std::move(name), {}, weight, priority};
}

inline limit_table one_at_a_time(std::initializer_list<class_limits> classes = {a_class("default")}) {
    limit_table limits;
    limits.all.transfers = 1;
    limits.classes = classes;
    return limits;
}

class admission_test : public ::testing::Test {
  protected:
    void TearDown() override {
        for (auto& one : downloads_)
            if (queue_)
                queue_->leave(one);
        if (queue_) {
            EXPECT_EQ(queue_->active(), 0U);
            EXPECT_EQ(queue_->waiting(), 0U);
            EXPECT_EQ(queue_->clients(), 0U);
        }
    }

    void with(const limit_table& limits, ledger_member* member = nullptr) { queue_.emplace(limits, member); }

    download& make(const std::string& name) { return downloads_.emplace_back(name); }

    /// Enters at the next microsecond.
    answer enter(download& one, const std::string& client, std::size_t in = 0) {
        const auto foreseen = queue_->foresee(in, client, now_ += std::chrono::microseconds(1));
        const auto got = queue_->enter(one, in, client, now_);
        EXPECT_EQ(foreseen, got) << "foresee() and enter() differ about " << one.name;
        EXPECT_EQ(one.admission_state(), got == answer::admitted ? state::admitted
                                         : got == answer::waits  ? state::waiting
                                                                 : state::out);
        return got;
    }

    /// The download "client/class/number".
    download& add(const std::string& client, std::size_t in = 0, int number = 0) {
        download& one = make(client + "/" + std::to_string(in) + "/" + std::to_string(number));
        enter(one, client, in);
        return one;
    }

    /// Who starts now: one name, or "-".
    std::string start() {
        auto* const one = static_cast<download*>(queue_->next(now_));
        return one != nullptr ? one->name : "-";
    }

    /// Ends the running one and starts the next, until nobody waits: the order of starts.
    std::vector<std::string> drain(download* running) {
        std::vector<std::string> order;
        while (running != nullptr) {
            queue_->leave(*running);
            running = static_cast<download*>(queue_->next(now_));
            if (running != nullptr)
                order.push_back(running->name);
        }
        return order;
    }

    std::optional<admission> queue_;
    std::deque<download> downloads_;
    clock::time_point now_{std::chrono::seconds(1000)};
};

using names = std::vector<std::string>;

} // namespace dlhandoff::test
