#pragma once

#include <chrono>
#include <cstdint>
#include <curl/curl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dlhandoff::test {

class private_httpd;

struct http_request {
    std::string path;
    std::string method = "GET";
    std::vector<std::string> fields{};    ///< "Name: value"
    long version = CURL_HTTP_VERSION_1_1; ///< CURL_HTTP_VERSION_…
    std::optional<std::string> content{}; ///< a request body
    bool keep_body = true;                ///< false: its size and SHA-256 only
    std::string user_password{};          ///< "name:password"
    bool https = false;
    std::string tls12_suites{};       ///< only TLS 1.2, with these of OpenSSL's suites
    std::string tls13_suites{};       ///< only TLS 1.3, with these
    std::string client_certificate{}; ///< a PEM file with certificate and key
    std::chrono::milliseconds within{120'000};
};

struct http_response {
    CURLcode error = CURLE_OK; ///< anything but CURLE_OK: the connection ended short, or worse
    long status = 0;
    std::string head;
    std::string body;
    std::uint64_t body_bytes = 0;
    std::string body_sha256;
    std::string probe; ///< X-Probe of the request: finds its lines in the logs
    std::chrono::milliseconds duration{};
    long new_connections = 0; ///< 0 if the request went over one that was open already

    [[nodiscard]] std::string field(std::string_view name) const;
};

/// A client as browsers are: libcurl, keep-alive, one request at a time. Every request carries a value of its
/// own in X-Probe.
class http_client {
  public:
    explicit http_client(const private_httpd& server);
    [[nodiscard]] http_response get(std::string path, std::vector<std::string> fields = {});
    [[nodiscard]] http_response request(const http_request& what);

  private:
    struct free_handle {
        void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    };
    const private_httpd& server_;
    std::unique_ptr<CURL, free_handle> handle_;
};

/// A value that no other request has.
[[nodiscard]] std::string new_probe();

/// In hexadecimal. `length` bytes from `offset` on; as far as the file goes without.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& file, std::uint64_t offset = 0,
                                         std::optional<std::uint64_t> length = std::nullopt);
[[nodiscard]] std::string sha256_of(std::string_view bytes);

} // namespace dlhandoff::test
