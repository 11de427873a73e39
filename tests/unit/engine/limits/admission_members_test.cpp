// Engines on threads of their own that share limits.
#include "tests/unit/engine/limits/admission_ledger_fixture.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace dlhandoff::test {
namespace {

/// What is under way, counted exactly beside the ledger, by all threads.
struct exact_counts {
    static constexpr std::uint32_t all_limit = 6, class_limit = 4, client_limit = 3,
                                   client_in_class_limit = 2;
    static constexpr std::size_t classes = 3, clients = 4;
    std::atomic<std::uint32_t> all{0};
    std::array<std::atomic<std::uint32_t>, classes> in_class{};
    std::array<std::atomic<std::uint32_t>, clients> of_client{};
    std::array<std::array<std::atomic<std::uint32_t>, clients>, classes> of_client_in_class{};
    std::atomic<int> exceeded{0};
    std::atomic<std::size_t> ready{0}; ///< engines that have joined

    void begin(std::size_t in, std::size_t client) {
        const std::uint32_t now_all = ++all; // each is counted, whatever the others say
        const std::uint32_t now_in_class = ++in_class[in];
        const std::uint32_t now_of_client = ++of_client[client];
        const std::uint32_t now_of_both = ++of_client_in_class[in][client];
        const bool over = now_all > all_limit || now_in_class > class_limit || now_of_client > client_limit ||
                          now_of_both > client_in_class_limit;
        exceeded += over;
    }
    void end(std::size_t in, std::size_t client) {
        --of_client_in_class[in][client];
        --of_client[client];
        --in_class[in];
        --all;
    }
    static limit_table limits() {
        auto table = limits_of(all_limit, client_limit);
        for (class_limits& one : table.classes) {
            one.own.transfers = class_limit;
            one.own.per_client = client_in_class_limit;
        }
        return table;
    }
};

/// An engine that enters `requests`, ends them at random, and returns how many were served.
int serve(const ledger& table, exact_counts& counts, std::uint64_t seed, int requests) {
    struct request : entry {
        std::size_t in = 0, client = 0;
    };
    auto member = table.join();
    if (!member)
        return -1;
    admission queue(exact_counts::limits(), &*member);
    std::deque<request> all;
    std::vector<request*> running;
    std::mt19937_64 random(seed);
    int served = 0;
    const auto deadline = clock::now() + 60s;
    ++counts.ready;
    while (counts.ready < table.members() && clock::now() < deadline)
        std::this_thread::yield();
    const auto start = [&](request& one) {
        counts.begin(one.in, one.client);
        running.push_back(&one);
    };
    while (served < requests && clock::now() < deadline) {
        if (static_cast<int>(all.size()) < requests && queue.waiting() < 200 && random() % 3 != 0) {
            request& one = all.emplace_back();
            one.in = random() % exact_counts::classes;
            one.client = random() % exact_counts::clients;
            if (queue.enter(one, one.in, std::to_string(one.client), clock::now()) == answer::admitted)
                start(one);
        }
        if (!running.empty() && random() % 2 == 0) {
            std::swap(running[random() % running.size()], running.back());
            counts.end(running.back()->in, running.back()->client);
            queue.leave(*running.back());
            running.pop_back();
            ++served;
        }
        if (queue.held_back())
            queue.recheck();
        while (auto* const one = static_cast<request*>(queue.next(clock::now())))
            start(*one);
        if (running.empty())
            std::this_thread::yield();
    }
    for (request* one : running)
        counts.end(one->in, one->client);
    for (request& one : all)
        queue.leave(one);
    return served;
}

void serve_in_threads(std::size_t members, int requests) {
    const ledger table = ledger::create(static_cast<std::uint32_t>(members));
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    exact_counts counts;
    std::vector<int> served(members);
    {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < members; ++i)
            threads.emplace_back([&, i] { served[i] = serve(table, counts, seed + i, requests); });
        for (auto& one : threads)
            one.join();
    }
    EXPECT_EQ(counts.exceeded.load(), 0) << "a limit was exceeded at some instant";
    for (const int each : served)
        EXPECT_EQ(each, requests) << "all are served in the end";
}

TEST(admission_members, two_never_exceed_limits_and_serve_all) {
    serve_in_threads(2, 40'000);
}

TEST(admission_members, three_never_exceed_limits_and_serve_all) {
    serve_in_threads(3, 20'000);
}

} // namespace
} // namespace dlhandoff::test
