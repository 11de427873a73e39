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

/// What engines that hold rates together tell each other over the ledger: how many want each rate, and so
/// which fraction of it is whose. One thread.
class rate_sharing {
  public:
    /// Null: this engine is alone, and has every rate whole.
    explicit rate_sharing(std::shared_ptr<ledger_member> member) noexcept;

    /// Tells the others, and works out the fractions, if that has not been done lately.
    void run_due(const limit_table& limits, bandwidth& rates, clock::time_point now);
    /// When run_due() must be called next, at the latest.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// Of a client's rate, over all classes or in one: by how many of its downloads each engine sends.
    [[nodiscard]] double client_fraction(const admission& active, std::string_view client_key,
                                         std::optional<std::size_t> limits_class) const;

  private:
    std::shared_ptr<ledger_member> member_;
    clock::time_point share_at_{};
    bool demands_ = false; ///< others have been told of some, and are to hear when it has gone
};

} // namespace dlhandoff::engine
