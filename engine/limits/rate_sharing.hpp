#pragma once

#include "engine/clock.hpp"
#include "engine/limits/limits.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace dlhandoff::engine {

class admission;
class bandwidth;
class ledger_member;

/// How engines that share rates divide them. Over the ledger each tells the others how many of its clients
/// want each rate; from that each works out its fraction of it. One thread.
class rate_sharing {
  public:
    /// Null: this engine is alone, and has every rate whole.
    explicit rate_sharing(std::shared_ptr<ledger_member> member) noexcept;

    /// Tells the others and works out the fractions, unless that has been done lately.
    void run_due(const limit_table& limits, bandwidth& rates, clock::time_point now);
    /// When run_due() must be called next, at the latest.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// The fraction of a client's rate, over all classes or in one, by the number of its downloads that each
    /// engine sends.
    [[nodiscard]] double client_fraction(const admission& active, std::string_view client_key,
                                         std::optional<std::size_t> limits_class) const;

  private:
    std::shared_ptr<ledger_member> member_;
    clock::time_point share_at_{};
    bool demands_ = false; ///< the others have been told of some demand, and must be told when it is gone
};

} // namespace dlhandoff::engine
