#pragma once

#include "tests/integration/harness/site.hpp"

#include <string>

namespace dlhandoff::test {

/// Limits that both managers know: the embedded one by directives, the service by its [limits].
struct limits_asked {
    unsigned transfers = 0;
    unsigned per_client = 0;
    unsigned queue = 100;
    std::string queue_timeout = "60s"; ///< so that only tests of it ever meet it
};

/// A site with these limits; `directives` go into httpd's configuration, `sections` into the service's.
[[nodiscard]] site_options limited(const setup& how, const limits_asked& asked,
                                   const std::string& directives = {}, const std::string& sections = {});

/// A client that has asked for a document and reads none of it: its download stays under way, if the document
/// has some megabytes.
[[nodiscard]] raw_client ask(const site& here, const std::string& path, const std::string& probe,
                             const std::string& fields = {});

/// Expects that a manager has this download and its client hears nothing.
void expect_waiting(const site& here, const raw_client& client, const std::string& probe);
/// Expects the response with the whole document of so many bytes, now or soon.
void expect_document(raw_client& client, std::uint64_t size);

} // namespace dlhandoff::test
