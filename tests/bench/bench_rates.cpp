/// What sharing rates costs: a question where no rate is in force, and the CPU time that a simulated second
/// of 1,000 downloads takes, wake-ups and questions, but not sending (Google Benchmark). `share_of_a_core`
/// 0.02 is 2 %.
#include "engine/limits/bandwidth.hpp"

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

namespace dlhandoff::bench {
namespace {

using engine::bandwidth;
using engine::clock;
using namespace std::chrono_literals;

void ask_without_a_rate(benchmark::State& state) {
    bandwidth rates;
    bandwidth::entry one;
    const clock::time_point now{1h};
    rates.enter(one, 0, "client", 0, now);
    for (auto _ : state) {
        auto may = rates.ask(one, 1 << 20, now); // not const: DoNotOptimize of a const value is deprecated
        benchmark::DoNotOptimize(may);
        rates.spent(one, may);
    }
    rates.leave(one);
}
BENCHMARK(ask_without_a_rate);

struct download : bandwidth::entry {
    std::string client;
};

/// A second of the simulated clock: everybody takes what is granted, at once, and asks again.
class simulation {
  public:
    simulation(const engine::limit_table& limits, std::size_t count, std::size_t a_client,
               std::uint64_t own_rate)
        : downloads_(count) {
        rates_.set_limits(limits, now_);
        for (std::size_t i = 0; i < count; ++i) {
            downloads_[i].client = "2001:db8::" + std::to_string(i / a_client);
            rates_.enter(downloads_[i], 0, downloads_[i].client, own_rate, now_);
            (void)rates_.ask(downloads_[i], UINT64_MAX, now_);
        }
        pass(2s);
    }
    ~simulation() {
        for (download& one : downloads_)
            rates_.leave(one);
    }

    void pass(clock::duration time) {
        for (const auto end = now_ + time; now_ < end; ++rounds) {
            now_ = std::max(now_, rates_.next_deadline());
            rates_.run_due(now_, [this](bandwidth::entry& one) { woken_.push_back(&one); });
            wakes += woken_.size();
            for (bandwidth::entry* one : woken_)
                while (const auto may = rates_.ask(*one, UINT64_MAX, now_)) {
                    rates_.spent(*one, may);
                    bytes += may;
                    ++answers;
                }
            woken_.clear();
        }
    }

    std::uint64_t wakes = 0, answers = 0, bytes = 0, rounds = 0;

  private:
    clock::time_point now_{1h};
    bandwidth rates_;
    std::vector<download> downloads_;
    std::vector<bandwidth::entry*> woken_;
};

void measure(benchmark::State& state, simulation& of) {
    of.wakes = of.answers = of.bytes = of.rounds = 0;
    for (auto _ : state)
        of.pass(1s);
    const auto a_second = benchmark::Counter::kAvgIterations;
    state.counters["wakes"] = {static_cast<double>(of.wakes), a_second};
    state.counters["answers"] = {static_cast<double>(of.answers), a_second};
    state.counters["rounds"] = {static_cast<double>(of.rounds), a_second};
    state.counters["bytes"] = {static_cast<double>(of.bytes), a_second};
    // CPU seconds a simulated second.
    state.counters["share_of_a_core"] = {static_cast<double>(state.iterations()),
                                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
}

void all_rate(benchmark::State& state) {
    engine::limit_table limits;
    limits.all.rate = static_cast<std::uint64_t>(state.range(0)) * 1'000'000;
    simulation of(limits, 1000, static_cast<std::size_t>(state.range(1)), 0);
    measure(state, of);
}
BENCHMARK(all_rate)
    ->ArgNames({"MB_a_second", "downloads_a_client"})
    ->ArgsProduct({{10, 125, 1250}, {1, 10, 1000}})
    ->Unit(benchmark::kMicrosecond);

void client_rate(benchmark::State& state) {
    engine::limit_table limits;
    limits.all.client_rate = static_cast<std::uint64_t>(state.range(0)) * 1000;
    simulation of(limits, 1000, static_cast<std::size_t>(state.range(1)), 0);
    measure(state, of);
}
BENCHMARK(client_rate)
    ->ArgNames({"kB_a_second", "downloads_a_client"})
    ->ArgsProduct({{100, 10'000}, {1, 10}})
    ->Unit(benchmark::kMicrosecond);

void own_rate(benchmark::State& state) {
    simulation of({}, 1000, 1, static_cast<std::uint64_t>(state.range(0)) * 1000);
    measure(state, of);
}
BENCHMARK(own_rate)->ArgName("kB_a_second")->Arg(5)->Arg(100)->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace dlhandoff::bench

BENCHMARK_MAIN();
