/// What it costs to decide who may send: a request that comes, waits, is started, and leaves; and what the
/// ledger that several engines share adds to it.
#include "engine/limits/admission.hpp"
#include "engine/limits/ledger.hpp"

#include <benchmark/benchmark.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::bench {
namespace {

using engine::admission;
using engine::ledger;
using engine::ledger_member;
using engine::limit_table;

limit_table table_of(std::uint32_t transfers, std::uint32_t per_client) {
    limit_table limits;
    limits.all.transfers = transfers;
    limits.all.per_client = per_client;
    limits.all.queue = 1'000'000;
    for (int i = 0; i < 4; ++i) {
        limits.classes.resize(static_cast<std::size_t>(i) + 1);
        limits.classes.back().name = i == 0 ? "default" : "class " + std::to_string(i);
        limits.classes.back().own.queue = 1'000'000;
        limits.classes.back().weight = static_cast<std::uint32_t>(i + 1);
    }
    return limits;
}

std::string address(std::size_t number) {
    return "2001:db8::" + std::to_string(number / 10'000) + ":" + std::to_string(number % 10'000);
}

/// `waiting` that always wait: each step one leaves, the next starts, and one more comes.
void enter_next_leave(benchmark::State& state) {
    const auto waiting = static_cast<std::size_t>(state.range(0));
    const auto clients = static_cast<std::size_t>(state.range(1));
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < clients; ++i)
        keys.push_back(address(i));
    admission queue(table_of(1, 0));
    const auto requests = std::make_unique<admission::entry[]>(waiting + 1);
    engine::clock::time_point now{std::chrono::seconds(1)};
    for (std::size_t i = 0; i <= waiting; ++i)
        benchmark::DoNotOptimize(queue.enter(requests[i], i % 4, keys[i % clients], now));
    admission::entry* running = &requests[0];
    std::size_t next_client = 0;
    for (auto _ : state) {
        queue.leave(*running);
        admission::entry* const started = queue.next(now);
        benchmark::DoNotOptimize(queue.enter(*running, next_client % 4, keys[next_client], now));
        running = started;
        next_client = next_client + 1 == clients ? 0 : next_client + 1;
    }
    state.SetItemsProcessed(state.iterations());
    for (std::size_t i = 0; i <= waiting; ++i)
        queue.leave(requests[i]);
}
BENCHMARK(enter_next_leave)
    ->ArgNames({"waiting", "clients"})
    ->Args({1, 1})
    ->Args({1000, 1})
    ->Args({1000, 1000})
    ->Args({100'000, 1})
    ->Args({100'000, 50'000});

/// A ledger with so many members that each have transfers of many clients.
struct busy_ledger {
    explicit busy_ledger(std::uint32_t members) : table(ledger::create(members)) {
        for (std::uint32_t i = 0; i < members; ++i)
            all.push_back(*table.join());
        for (std::uint32_t i = 1; i < members; ++i)
            for (std::size_t j = 0; j < 50; ++j)
                all[i].add_active(0, engine::keyed_hash(all[i].key(), address(i * 1000 + j)));
    }
    ledger table;
    std::vector<ledger_member> all;
};

/// A request that starts at once, all limits to be looked at, and leaves. 1 member: without a ledger.
void enter_leave(benchmark::State& state) {
    const auto members = static_cast<std::uint32_t>(state.range(0));
    busy_ledger others(members);
    auto limits = table_of(1'000'000, 1000);
    for (auto& one : limits.classes) {
        one.own.transfers = 1'000'000;
        one.own.per_client = 1000;
    }
    admission queue(limits, members == 1 ? nullptr : others.all.data());
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < 1000; ++i)
        keys.push_back(address(i));
    admission::entry one;
    const engine::clock::time_point now{std::chrono::seconds(1)};
    std::size_t client = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(queue.enter(one, client % 4, keys[client], now));
        queue.leave(one);
        client = (client + 1) % keys.size();
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(enter_leave)->ArgName("members")->Arg(1)->Arg(2)->Arg(16)->Arg(256);

/// What an engine does every 10 to 20 ms while others use up what its 10,000 waiting clients may have.
void recheck_of_held_back(benchmark::State& state) {
    const auto members = static_cast<std::uint32_t>(state.range(0));
    busy_ledger others(members);
    admission queue(table_of(0, 1), others.all.data());
    constexpr std::size_t clients = 10'000;
    const auto requests = std::make_unique<admission::entry[]>(clients);
    const engine::clock::time_point now{std::chrono::seconds(1)};
    for (std::size_t i = 0; i < clients; ++i) {
        others.all[1].add_active(0, engine::keyed_hash(others.all[1].key(), address(i)));
        benchmark::DoNotOptimize(queue.enter(requests[i], i % 4, address(i), now));
    }
    for (auto _ : state) {
        queue.recheck();
        if (queue.next(now) != nullptr)
            return state.SkipWithError("one that was to be held back has started");
    }
    for (std::size_t i = 0; i < clients; ++i)
        queue.leave(requests[i]);
}
BENCHMARK(recheck_of_held_back)->ArgName("members")->Arg(2)->Arg(16)->Unit(benchmark::kMicrosecond);

void clear_a_column(benchmark::State& state) {
    const auto table = ledger::create(2, static_cast<std::uint32_t>(state.range(0)));
    for (auto _ : state) {
        auto member = table.join();
        for (std::uint64_t i = 0; i < 100; ++i)
            member->add_active(0, i * 0x9e3779b97f4a7c15);
    }
}
BENCHMARK(clear_a_column)->ArgName("bits")->Arg(12)->Arg(16)->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace dlhandoff::bench

BENCHMARK_MAIN();
