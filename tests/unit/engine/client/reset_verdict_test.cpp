#include "engine/client/reset_verdict.hpp"

#include "tests/unit/engine/download.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace dlhandoff::test {
namespace {

using engine::outcome;
using engine::outcome_of;
using nlohmann::json;

TEST(reset_verdict, all_acknowledged_is_complete) {
    EXPECT_EQ(outcome_of({.expected = 1000, .transmitted = 1000, .delivered = 1000}), outcome::complete);
}

TEST(reset_verdict, something_never_sent_is_client_closed) {
    EXPECT_EQ(outcome_of({.expected = 1000, .transmitted = 999, .delivered = 999}), outcome::client_closed);
    EXPECT_EQ(outcome_of({.expected = 1000, .transmitted = 0, .delivered = 0}), outcome::client_closed);
}

TEST(reset_verdict, all_sent_and_not_all_acknowledged_is_unconfirmed) {
    EXPECT_EQ(outcome_of({.expected = 1000, .transmitted = 1000, .delivered = 999}), outcome::unconfirmed);
    EXPECT_EQ(outcome_of({.expected = 1000, .transmitted = 1000, .delivered = 0}), outcome::unconfirmed);
}

/// A download that is all in its client's socket, unread.
class resetting_client {
  public:
    explicit resetting_client(bool acknowledges_late) {
        // 0: acknowledgements wait for some 40 ms (tcp(7), TCP_QUICKACK).
        const int quick = acknowledges_late ? 0 : 1;
        ::setsockopt(connection_.client.get(), IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof quick);
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection_.server));
        descriptors.push_back(file_.open());
        runner_.begin(make_offer(head, file_), std::move(descriptors));
        EXPECT_TRUE(runner_.run_until([this] { return unread() == head.size() + file_.content().size(); }));
    }

    /// What is due is acknowledged now.
    void acknowledge() const {
        const int quick = 1;
        EXPECT_EQ(::setsockopt(connection_.client.get(), IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof quick), 0);
    }

    /// With bytes unread, close(2) resets the connection. The transfer's line of the log.
    json close() {
        connection_.client.reset();
        EXPECT_TRUE(runner_.run_until([this] { return runner_.engine.active() == 0; }));
        const auto lines = runner_.log_lines();
        EXPECT_EQ(lines.size(), 1U);
        return lines.empty() ? json::object() : json::parse(lines.front());
    }

  private:
    static inline const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";

    [[nodiscard]] std::size_t unread() const {
        int bytes = 0;
        ::ioctl(connection_.client.get(), FIONREAD, &bytes);
        return static_cast<std::size_t>(bytes);
    }

    tcp_pair connection_;
    // With the head less than 536 bytes, the first guess of a segment's size: more is acknowledged at once.
    const sample_file file_{100};
    running_engine runner_;
};

TEST(reset_verdict, a_client_that_has_acknowledged_all_and_resets_has_it) {
    resetting_client client(false);
    client.acknowledge();
    const json line = client.close();
    EXPECT_EQ(line["outcome"], "complete");
    EXPECT_EQ(line["delivered"], line["expected"]);
}

TEST(reset_verdict, a_client_that_resets_instead_of_acknowledging_is_unconfirmed) {
    // A machine that stalls for 40 ms has the acknowledgement sent: then the next one must do.
    bool seen = false;
    for (int tries = 0; tries < 50 && !seen; ++tries) {
        const json line = resetting_client(true).close();
        seen = line["delivered"] != line["expected"];
        EXPECT_EQ(line["outcome"], seen ? "unconfirmed" : "complete");
        EXPECT_EQ(line["sent"], line["expected"]);
    }
    EXPECT_TRUE(seen);
}

} // namespace
} // namespace dlhandoff::test
