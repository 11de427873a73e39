#pragma once

#include <chrono>
#include <thread>

namespace dlhandoff::test {

using namespace std::chrono_literals;

/// Waits until `holds()` is true, `within` at most; what it was in the end.
template <class Predicate>
[[nodiscard]] bool eventually(Predicate&& holds, std::chrono::milliseconds within = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (!holds()) {
        if (std::chrono::steady_clock::now() >= deadline)
            return holds();
        std::this_thread::sleep_for(3ms);
    }
    return true;
}

/// How long `work()` took.
template <class Work>
[[nodiscard]] std::chrono::milliseconds duration_of(Work&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

} // namespace dlhandoff::test
