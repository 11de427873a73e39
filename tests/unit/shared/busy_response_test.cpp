// The response that says that there is no room.
#include "shared/busy_response.hpp"

#include <gtest/gtest.h>

namespace dlhandoff {
namespace {

using namespace std::chrono_literals;

const std::chrono::system_clock::time_point some_time{1'794'300'000s}; // 2026-11-10 08:40:00 UTC

std::string of(std::string_view head, std::chrono::milliseconds retry = 30s) {
    return busy_response(head, some_time, retry);
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

TEST(busy_response, is_whole) {
    EXPECT_EQ(of("HTTP/1.1 200 OK\r\n\r\n"),
              "HTTP/1.1 503 Service Unavailable\r\n"
              "Date: Tue, 10 Nov 2026 08:40:00 GMT\r\n"
              "Retry-After: 30\r\n"
              "Cache-Control: no-store\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 70\r\n"
              "\r\n"
              "The server has no room for this download now. Please try again later.\n");
}

TEST(busy_response, promises_for_the_connection_what_was_promised) {
    const std::string response = of("HTTP/1.1 200 OK\r\n"
                                    "Date: Mon, 09 Nov 2026 00:00:00 GMT\r\n"
                                    "Server: Apache/2.4\r\n"
                                    "keep-alive: timeout=5, max=99\r\n"
                                    "CONNECTION: Keep-Alive\r\n"
                                    "Content-Type: application/zip\r\n\r\n");
    EXPECT_EQ(count(response, "Server: Apache/2.4\r\n"), 1U);
    EXPECT_EQ(count(response, "keep-alive: timeout=5, max=99\r\n"), 1U);
    EXPECT_EQ(count(response, "CONNECTION: Keep-Alive\r\n"), 1U);
    EXPECT_EQ(count(of("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), "Connection: close\r\n"), 1U);
}

TEST(busy_response, says_nothing_of_the_file_that_is_not_sent) {
    const std::string response = of("HTTP/1.1 206 Partial Content\r\n"
                                    "Content-Length: 1000000\r\nContent-Range: bytes 0-999999/2000000\r\n"
                                    "Content-Type: application/zip\r\nETag: \"x\"\r\n"
                                    "Last-Modified: Mon, 09 Nov 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n"
                                    "Content-Encoding: gzip\r\nSet-Cookie: a=b\r\n"
                                    "Transfer-Encoding: chunked\r\nX-Server: 1\r\n\r\n");
    for (const char* const gone : {"1000000", "Content-Range", "zip", "ETag", "Last-Modified",
                                   "Accept-Ranges", "gzip", "Set-Cookie", "chunked", "X-Server", "206"})
        EXPECT_EQ(count(response, gone), 0U) << gone;
    EXPECT_EQ(count(response, "Content-Length:"), 1U);
    EXPECT_EQ(count(response, "Content-Type:"), 1U);
}

TEST(busy_response, stays_readable_for_scripts_and_secure) {
    const std::string response = of("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n"
                                    "Strict-Transport-Security: max-age=31536000\r\n\r\n");
    EXPECT_EQ(count(response, "Access-Control-Allow-Origin: *\r\n"), 1U);
    EXPECT_EQ(count(response, "Strict-Transport-Security: max-age=31536000\r\n"), 1U);
}

TEST(busy_response, the_body_of_the_other_response_is_not_looked_at) {
    const std::string response = of("HTTP/1.1 200 OK\r\n\r\nServer: no\r\nConnection: no\r\n\r\n");
    EXPECT_EQ(count(response, "no\r\n"), 0U);
}

TEST(busy_response, asks_for_whole_seconds) {
    EXPECT_EQ(count(of("HTTP/1.1 200 OK\r\n\r\n", 1ms), "Retry-After: 1\r\n"), 1U);
    EXPECT_EQ(count(of("HTTP/1.1 200 OK\r\n\r\n", 0ms), "Retry-After: 1\r\n"), 1U);
    EXPECT_EQ(count(of("HTTP/1.1 200 OK\r\n\r\n", 1001ms), "Retry-After: 2\r\n"), 1U);
}

TEST(busy_response, takes_heads_that_are_none) {
    for (const char* const head : {"", "x", "\r\n", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nServer: cut"})
        EXPECT_EQ(count(of(head), "\r\n\r\n"), 1U) << head;
}

} // namespace
} // namespace dlhandoff
