#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dlhandoff::engine {

/// What bounds downloads: those of one class, or all together. 0 means no bound, unless noted otherwise.
struct limits {
    std::uint32_t transfers = 0;                     ///< sent at the same time
    std::uint32_t per_client = 0;                    ///< of these, one client's
    std::uint32_t queue = 10'000;                    ///< that wait at the same time; 0: none may wait
    std::chrono::milliseconds queue_timeout{30'000}; ///< how long one may wait
    std::uint64_t rate = 0;                          ///< bytes a second, together
    std::uint64_t client_rate = 0;                   ///< bytes a second, one client's together
    std::chrono::milliseconds stall_timeout{60'000}; ///< a client that takes nothing for so long is dropped
    std::uint64_t min_rate = 0; ///< bytes a second that a client must take, on average over the window
    std::chrono::milliseconds min_rate_window{60'000};
    friend bool operator==(const limits&, const limits&) = default;
};

/// A class of downloads. Its counts and rates bound the class in addition to those of all together; its times
/// and its min_rate replace the common ones.
struct class_limits {
    std::string name;
    limits own;
    std::uint32_t weight = 1;  ///< share of turns, against other classes of the same priority; at least 1
    std::int32_t priority = 0; ///< higher is taken from the queue first
    friend bool operator==(const class_limits&, const class_limits&) = default;
};

/// All limits of a manager.
struct limit_table {
    limits all;
    /// Never empty: the first is "default", to which downloads of an unknown class belong. What a class
    /// doesn't set itself has been filled in: counts and rates with 0, its queue and times with `all`'s.
    std::vector<class_limits> classes{{"default", {}, 1, 0}};
    friend bool operator==(const limit_table&, const limit_table&) = default;

    /// The index of the class of this name; 0 if there is none.
    [[nodiscard]] std::size_t class_of(std::string_view name) const noexcept {
        for (std::size_t i = 1; i < classes.size(); ++i)
            if (classes[i].name == name)
                return i;
        return 0;
    }
};

} // namespace dlhandoff::engine
