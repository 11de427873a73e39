#include "mod_dlhandoff/response_head.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {

using dlhandoff::httpd::closing_head;
using dlhandoff::httpd::head_size;

TEST(ResponseHead, EndsAfterItsEmptyLine) {
    const std::string head = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    EXPECT_EQ(head_size(head), head.size());
    EXPECT_EQ(head_size(head + "--boundary\r\n\r\nbody"), head.size());
    EXPECT_EQ(head_size("HTTP/1.0 206 Partial\r\n\r\n"), 24U);
    EXPECT_EQ(head_size("HTTP/1.1 200\r\n\r\n"), 16U);
}

TEST(ResponseHead, IsNothingElse) {
    for (const char* text : {"", "\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\n",
                             "HTTP/2 200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
                             "HTTP/1.x 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1\r\n\r\n",
                             "<html>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n"})
        EXPECT_EQ(head_size(text), std::nullopt) << text;
}

TEST(ClosingHead, SaysCloseWhereNothingWasSaid) {
    EXPECT_EQ(closing_head("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(closing_head("HTTP/1.1 200 OK\r\n\r\n"), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST(ClosingHead, LeavesAClosingOneAsItIs) {
    const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    EXPECT_EQ(closing_head(head), head);
}

TEST(ClosingHead, TakesKeepAliveAway) {
    EXPECT_EQ(closing_head("HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n"
                           "Content-Length: 3\r\n\r\n"),
              "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(closing_head("HTTP/1.1 200 OK\r\nkeep-alive: 5\r\nCONNECTION:keep-ALIVE\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST(ClosingHead, KeepsOtherOptions) {
    EXPECT_EQ(
        closing_head("HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade, Keep-Alive\r\nA: b\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\nA: b\r\n\r\n");
    EXPECT_EQ(
        closing_head(
            "HTTP/1.1 200 OK\r\nConnection: a\r\nX: y\r\nConnection: , b ,,close\t, keep-alive\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nConnection: a, b, close\r\nX: y\r\n\r\n");
}

TEST(ClosingHead, MindsFieldsOnly) {
    const std::string rest =
        "Connection-Info: keep-alive\r\nX-Keep-Alive: 1\r\nX: Connection: keep-alive\r\n";
    EXPECT_EQ(closing_head("HTTP/1.1 200 Connection: keep-alive\r\n" + rest + "\r\n"),
              "HTTP/1.1 200 Connection: keep-alive\r\n" + rest + "Connection: close\r\n\r\n");
}

} // namespace
