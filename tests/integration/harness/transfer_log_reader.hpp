#pragma once

#include "tests/integration/harness/eventually.hpp"

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dlhandoff::test {

/// Reads a transfer log while it grows.
class transfer_log_reader {
  public:
    explicit transfer_log_reader(std::string path) : path_(std::move(path)) {}

    /// Every whole line there is now. Throws nlohmann::json::exception on a line that is no JSON.
    [[nodiscard]] std::vector<nlohmann::json> lines() const;

    /// The first line that matches, once it is there; nothing if that takes longer.
    [[nodiscard]] std::optional<nlohmann::json>
    wait_for(const std::function<bool(const nlohmann::json&)>& matches,
             std::chrono::milliseconds within = 10s) const;

    /// The transfer of the request with this X-Probe: the tests' httpd has `DLHandoffTag %{HTTP:X-Probe}`.
    [[nodiscard]] std::optional<nlohmann::json> transfer(std::string_view probe,
                                                         std::chrono::milliseconds within = 10s) const;

  private:
    std::string path_;
};

} // namespace dlhandoff::test
