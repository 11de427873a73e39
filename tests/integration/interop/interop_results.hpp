#pragma once

#include <string>

namespace dlhandoff::test {

/// What client programs got, for docs/interop.md: lines that scripts/interop makes tables of. They go to the
/// folder `interop` of the build, into one file a test, which begins anew with each run.
class interop_results {
  public:
    /// `client` with its version, such as "curl 7.88.1 (OpenSSL 3.0.19)".
    explicit interop_results(std::string client) : client_(std::move(client)) {}
    /// Writes the file.
    ~interop_results();
    interop_results(const interop_results&) = delete;
    interop_results& operator=(const interop_results&) = delete;

    /// A download over one of tls_suites. `note` is httpd's note dlhandoff; `right`: everything was as
    /// expected.
    void add_suite(const std::string& suite, const std::string& note, bool right);
    /// Something else that was done with a download.
    void add(const std::string& what, const std::string& note, bool right);

  private:
    std::string client_;
    std::string lines_;
};

} // namespace dlhandoff::test
