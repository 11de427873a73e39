#pragma once

#include "tests/integration/harness/site.hpp"
#include "tests/integration/interop/client_program.hpp"

#include <memory>
#include <optional>
#include <string>

namespace dlhandoff::test {

/// Chromium without a window, with a profile of its own, at a page of the site whose script tells the test
/// what it has found: it fetches "/report?NAME=VALUE", which is read from the access log.
class browser {
  public:
    static constexpr const char* program = "chromium";

    /// Opens a page.
    browser(site& here, const std::string& url);
    /// Ends it.
    ~browser();
    browser(const browser&) = delete;
    browser& operator=(const browser&) = delete;

    /// What the page has reported under this name (once it has, within the time); nothing otherwise.
    [[nodiscard]] std::optional<std::string> reported(const std::string& name,
                                                      std::chrono::milliseconds within = 60s) const;
    /// What Chromium wrote.
    [[nodiscard]] std::string messages() const;

  private:
    site& site_;
    std::unique_ptr<child_process> program_;
};

} // namespace dlhandoff::test
