#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dlhandoff::bench {

[[nodiscard]] inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// Of sorted values, not none; `which` from 0 to 1.
template <class Value>
[[nodiscard]] Value quantile(const std::vector<Value>& sorted, double which) {
    return sorted[static_cast<std::size_t>(which * static_cast<double>(sorted.size() - 1))];
}

/// One figure of all rounds.
template <class Cost>
[[nodiscard]] double median_of(const std::vector<Cost>& rounds, double Cost::*figure) {
    std::vector<double> values;
    for (const Cost& one : rounds)
        values.push_back(one.*figure);
    return median(std::move(values));
}

/// Of each round by itself: what disturbs the machine disturbs both.
template <class Cost>
[[nodiscard]] double median_ratio(const std::vector<Cost>& of, const std::vector<Cost>& to,
                                  double Cost::*figure) {
    std::vector<double> values;
    for (std::size_t i = 0; i < of.size(); ++i)
        values.push_back(of[i].*figure / (to[i].*figure));
    return median(std::move(values));
}

} // namespace dlhandoff::bench
