#include "engine/limits/admission.hpp"

#include <algorithm>
#include <cstdint>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace dlhandoff::test {
namespace {

using engine::admission;
using engine::class_limits;
using engine::clock;
using engine::limit_table;
using answer = admission::answer;
using state = admission::entry::state;

/// The rules of an admission, slow and obvious: plain vectors that are searched from end to end.
class model {
  public:
    struct request {
        int id = 0;
        std::string of_class;
        int client = 0;
        bool active = false;
    };

    explicit model(const limit_table& limits) { set_limits(limits); }

    answer enter(int id, const std::string& in, int client) {
        const class_limits& one = limits_of(in);
        bool somebody_could = false;
        for (const request& other : requests_)
            somebody_could |= !other.active && may_start(other);
        request asking{id, in, client, false};
        if (!somebody_could && may_start(asking)) {
            asking.active = true;
            requests_.push_back(asking);
            tidy();
            return answer::admitted;
        }
        if (count(false) >= limits_.all.queue || count(false, &in) >= one.own.queue)
            return answer::full;
        requests_.push_back(asking);
        tidy();
        return answer::waits;
    }

    void leave(int id) {
        std::erase_if(requests_, [id](const request& one) { return one.id == id; });
        tidy();
    }

    int next() {
        if (over(limits_.all.transfers, count(true)))
            return -1;
        const class_limits* best = nullptr;
        for (const class_limits& one : limits_.classes) {
            const bool can = std::any_of(requests_.begin(), requests_.end(), [&](const request& each) {
                return each.of_class == one.name && !each.active && may_start(each);
            });
            if (can && !could_[one.name])
                pass_[one.name] = std::max(pass_[one.name], time_[one.priority]);
            could_[one.name] = can;
            if (can && (best == nullptr || one.priority > best->priority ||
                        (one.priority == best->priority && pass_[one.name] < pass_[best->name])))
                best = &one;
        }
        if (best == nullptr)
            return -1;
        time_[best->priority] = pass_[best->name];
        pass_[best->name] += (std::uint64_t{1} << 32) / best->weight;
        auto& turns = turns_[best->name];
        const int client =
            *std::find_if(turns.begin(), turns.end(), [&](int one) { return client_may(best->name, one); });
        std::erase(turns, client);
        for (request& one : requests_)
            if (one.of_class == best->name && one.client == client && !one.active) {
                one.active = true;
                tidy();
                return one.id;
            }
        return -1;
    }

    void set_limits(const limit_table& limits) {
        const limit_table before = std::exchange(limits_, limits);
        pass_.clear();
        time_.clear();
        could_.clear();
        const std::string& fallback = limits.classes.front().name;
        // Those at their limit go behind those who were not; then come those of classes that are gone.
        for (auto& [name, turns] : turns_)
            append(turns, std::exchange(parked_[name], {}));
        for (const class_limits& old : before.classes)
            if (!known(old.name)) {
                for (const int client : turns_[old.name])
                    if (std::count(turns_[fallback].begin(), turns_[fallback].end(), client) == 0)
                        turns_[fallback].push_back(client);
                turns_.erase(old.name);
                parked_.erase(old.name);
            }
        for (request& one : requests_)
            if (!known(one.of_class))
                one.of_class = fallback;
        for (auto& [name, turns] : turns_)
            sort_out(name);
        tidy();
    }

    [[nodiscard]] std::size_t count(bool active, const std::string* in = nullptr) const {
        return static_cast<std::size_t>(
            std::count_if(requests_.begin(), requests_.end(), [&](const request& one) {
                return one.active == active && (in == nullptr || one.of_class == *in);
            }));
    }
    [[nodiscard]] const std::vector<request>& requests() const { return requests_; }
    [[nodiscard]] std::size_t clients() const {
        std::vector<int> seen;
        for (const request& one : requests_)
            if (std::count(seen.begin(), seen.end(), one.client) == 0)
                seen.push_back(one.client);
        return seen.size();
    }

  private:
    static bool over(std::uint32_t limit, std::size_t use) { return limit != 0 && use >= limit; }
    static void append(std::vector<int>& to, const std::vector<int>& from) {
        to.insert(to.end(), from.begin(), from.end());
    }
    [[nodiscard]] bool known(const std::string& name) const {
        return std::any_of(limits_.classes.begin(), limits_.classes.end(),
                           [&](const auto& one) { return one.name == name; });
    }
    [[nodiscard]] const class_limits& limits_of(const std::string& name) const {
        return *std::find_if(limits_.classes.begin(), limits_.classes.end(),
                             [&](const auto& one) { return one.name == name; });
    }
    [[nodiscard]] bool client_may(const std::string& in, int client) const {
        std::size_t in_class = 0;
        std::size_t in_all = 0;
        for (const request& one : requests_)
            if (one.active && one.client == client) {
                ++in_all;
                in_class += one.of_class == in;
            }
        return !over(limits_.all.per_client, in_all) && !over(limits_of(in).own.per_client, in_class);
    }
    [[nodiscard]] bool may_start(const request& one) const {
        return !over(limits_.all.transfers, count(true)) &&
               !over(limits_of(one.of_class).own.transfers, count(true, &one.of_class)) &&
               client_may(one.of_class, one.client);
    }
    [[nodiscard]] bool waits(const std::string& in, int client) const {
        return std::any_of(requests_.begin(), requests_.end(), [&](const request& one) {
            return !one.active && one.of_class == in && one.client == client;
        });
    }
    void sort_out(const std::string& name) {
        std::vector<int> in_order = std::exchange(turns_[name], {});
        append(in_order, std::exchange(parked_[name], {}));
        for (const int client : in_order)
            (client_may(name, client) ? turns_ : parked_)[name].push_back(client);
    }
    /// After each step: whoever waits and may take a turn is in line, those that just became so at the end.
    void tidy() {
        for (const class_limits& one : limits_.classes) {
            auto& turns = turns_[one.name];
            auto& parked = parked_[one.name];
            for (auto* list : {&turns, &parked})
                std::erase_if(*list, [&](int client) { return !waits(one.name, client); });
            for (auto at = turns.begin(); at != turns.end();)
                if (!client_may(one.name, *at)) {
                    parked.push_back(*at);
                    at = turns.erase(at);
                } else
                    ++at;
            for (auto at = parked.begin(); at != parked.end();)
                if (client_may(one.name, *at)) {
                    turns.push_back(*at);
                    at = parked.erase(at);
                } else
                    ++at;
            for (const request& each : requests_)
                if (!each.active && each.of_class == one.name &&
                    std::count(turns.begin(), turns.end(), each.client) +
                            std::count(parked.begin(), parked.end(), each.client) ==
                        0)
                    (client_may(one.name, each.client) ? turns : parked).push_back(each.client);
        }
    }

    limit_table limits_;
    std::vector<request> requests_; ///< in the order in which they came
    std::map<std::string, std::vector<int>> turns_, parked_;
    std::map<std::string, std::uint64_t> pass_;
    std::map<std::int32_t, std::uint64_t> time_;
    std::map<std::string, bool> could_;
};

limit_table random_limits(std::mt19937_64& random) {
    const auto up_to = [&random](std::uint32_t most) {
        return static_cast<std::uint32_t>(random() % (most + 1));
    };
    limit_table limits;
    limits.all.transfers = up_to(6);
    limits.all.per_client = up_to(3);
    limits.all.queue = random() % 4 == 0 ? up_to(10) : 1000;
    for (const char* name : {"bulk", "urgent", "other", "more"})
        if (random() % 3 != 0)
            limits.classes.push_back({name, {}, 1, 0});
    std::shuffle(limits.classes.begin() + 1, limits.classes.end(), random);
    for (class_limits& one : limits.classes) {
        one.own.transfers = up_to(4);
        one.own.per_client = up_to(2);
        one.own.queue = random() % 4 == 0 ? up_to(5) : 1000;
        one.weight = 1 + up_to(3);
        one.priority = static_cast<std::int32_t>(up_to(2)) - 1;
    }
    return limits;
}

/// The same steps for both, compared after each.
class comparison {
  public:
    explicit comparison(std::uint64_t seed)
        : random_(seed), limits_(random_limits(random_)), real_(limits_), model_(limits_) {}
    ~comparison() {
        for (auto& [id, one] : entries_)
            real_.leave(*one);
    }
    comparison(const comparison&) = delete;
    comparison& operator=(const comparison&) = delete;

    void run(int steps) {
        for (step_ = 0; step_ < steps && !::testing::Test::HasFailure(); ++step_) {
            const auto what = random_() % 100;
            if (what < 45)
                enter();
            else if (what < 75)
                leave();
            else if (what < 98)
                while (next() && random_() % 4 != 0) {
                }
            else
                set_limits();
            compare();
        }
    }

  private:
    void enter() {
        const auto in = static_cast<std::size_t>(random_() % limits_.classes.size());
        const int client = static_cast<int>(random_() % 5);
        const std::string key = "client " + std::to_string(client);
        auto one = std::make_unique<admission::entry>();
        const auto foreseen = real_.foresee(in, key, now_ += std::chrono::microseconds(1));
        const auto real = real_.enter(*one, in, key, now_);
        EXPECT_EQ(foreseen, real) << "step " << step_;
        EXPECT_EQ(model_.enter(last_id_, limits_.classes[in].name, client), real) << "step " << step_;
        if (real != answer::full)
            entries_[last_id_++] = std::move(one);
    }

    void leave() {
        if (entries_.empty())
            return;
        const auto at = std::next(entries_.begin(), static_cast<std::ptrdiff_t>(random_() % entries_.size()));
        real_.leave(*at->second);
        model_.leave(at->first);
        entries_.erase(at);
    }

    bool next() {
        const admission::entry* const real = real_.next(now_);
        int id = -1;
        for (const auto& [each, one] : entries_)
            if (one.get() == real)
                id = each;
        EXPECT_EQ(id, model_.next()) << "step " << step_;
        return id >= 0;
    }

    void set_limits() {
        limits_ = random_limits(random_);
        real_.set_limits(limits_);
        model_.set_limits(limits_);
    }

    void compare() const {
        EXPECT_FALSE(real_.held_back());
        EXPECT_EQ(real_.active(), model_.count(true)) << "step " << step_;
        EXPECT_EQ(real_.waiting(), model_.count(false)) << "step " << step_;
        EXPECT_EQ(real_.clients(), model_.clients()) << "step " << step_;
        for (std::size_t i = 0; i < limits_.classes.size(); ++i) {
            EXPECT_EQ(real_.active(i), model_.count(true, &limits_.classes[i].name)) << "step " << step_;
            EXPECT_EQ(real_.waiting(i), model_.count(false, &limits_.classes[i].name)) << "step " << step_;
        }
        for (const auto& one : model_.requests()) {
            const admission::entry& real = *entries_.at(one.id);
            EXPECT_EQ(real.admission_state(), one.active ? state::admitted : state::waiting)
                << "step " << step_;
            EXPECT_EQ(limits_.classes[real.class_index()].name, one.of_class) << "step " << step_;
            EXPECT_EQ(real.client_key(), "client " + std::to_string(one.client)) << "step " << step_;
        }
    }

    std::mt19937_64 random_;
    limit_table limits_;
    admission real_;
    model model_;
    std::map<int, std::unique_ptr<admission::entry>> entries_;
    int last_id_ = 0;
    int step_ = 0;
    clock::time_point now_{std::chrono::seconds(1000)};
};

TEST(admission_model, agrees_for_fixed_seeds) {
    for (std::uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        comparison(seed).run(2000);
    }
}

TEST(admission_model, agrees_for_a_random_seed) {
    for (int i = 0; i < 5 && !HasFailure(); ++i) {
        const std::uint64_t seed = std::random_device{}();
        SCOPED_TRACE("seed " + std::to_string(seed));
        comparison(seed).run(2000);
    }
}

} // namespace
} // namespace dlhandoff::test
