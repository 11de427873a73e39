#pragma once

#include "tests/integration/harness/documents.hpp"
#include "tests/integration/harness/http_client.hpp"
#include "tests/integration/harness/private_httpd.hpp"
#include "tests/integration/harness/private_manager.hpp"
#include "tests/integration/harness/raw_client.hpp"
#include "tests/integration/harness/transfer_log_reader.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <string>

namespace dlhandoff::test {

/// How httpd runs and who sends.
struct setup {
    std::string mpm;
    bool service = false; ///< else embedded
};
[[nodiscard]] std::string name_of(const setup& one);
inline void PrintTo(const setup& one, std::ostream* out) {
    *out << name_of(one);
}

struct site_options {
    setup how{"event"};
    httpd_options httpd{}; ///< its mpm is taken from `how`
    std::string handoff{}; ///< instead of "DLHandoff On" and so on; the manager's directives are added
    std::string manager{}; ///< lines of the service's configuration
    manager_count managers{};
    std::optional<std::string> https{}; ///< serve HTTPS too, with these directives in its virtual host
    bool start = true;
    bool start_manager = true;
};

/// One httpd, its manager, and documents: what most tests here begin with.
class site {
  public:
    explicit site(site_options options);

    /// Makes a document that httpd serves under "/name".
    void add_document(const std::string& name, std::uint64_t size) const;
    [[nodiscard]] std::string document(const std::string& name) const;

    [[nodiscard]] private_httpd& httpd() noexcept { return *httpd_; }
    [[nodiscard]] const private_httpd& httpd() const noexcept { return *httpd_; }
    [[nodiscard]] private_manager& manager() { return manager_.value(); }
    [[nodiscard]] const temporary_directory& directory() const noexcept { return directory_; }
    [[nodiscard]] const transfer_log_reader& transfers() const noexcept { return transfers_; }
    [[nodiscard]] http_client client() const { return http_client(*httpd_); }
    [[nodiscard]] raw_client connect(int receive_buffer = 0) const;
    /// A GET over HTTP/1.1 for raw clients; X-Probe is its tag.
    [[nodiscard]] std::string get_request(const std::string& path, const std::string& probe,
                                          const std::string& fields = {}) const;

    /// Expects the whole document, handed off, and the transfer log to say so.
    void expect_handed_off(const http_response& response, const std::string& document) const;
    /// Expects the whole document, sent by httpd itself; `reason` "" means any.
    void expect_served(const http_response& response, const std::string& document,
                       const std::string& reason = {}) const;

  private:
    temporary_directory directory_;
    std::optional<private_manager> manager_;
    std::optional<private_httpd> httpd_;
    transfer_log_reader transfers_;
};

/// SO_RCVBUF of clients that are to stay mid-way: with a document of a few megabytes they do, whatever the
/// server's send buffer has grown to.
inline constexpr int small_receive_buffer = 65536;

#define INSTANTIATE_FOR_SETUPS(suite, ...)                                                                   \
    INSTANTIATE_TEST_SUITE_P(with, suite, ::testing::Values(__VA_ARGS__),                                    \
                             [](const auto& one) { return ::dlhandoff::test::name_of(one.param); })

#define EVERY_EMBEDDED                                                                                       \
    setup{"prefork"}, setup{"worker"}, setup {                                                               \
        "event"                                                                                              \
    }
#define EVERY_SERVICE                                                                                        \
    setup{"prefork", true}, setup{"worker", true}, setup {                                                   \
        "event", true                                                                                        \
    }
#define EVERY_SETUP EVERY_EMBEDDED, EVERY_SERVICE

} // namespace dlhandoff::test
