// Requests that come in any pieces at any time over one connection: each gets its own response, in order.
#include "tests/integration/harness/site.hpp"

#include <random>
#include <vector>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t file_size = 300'000;
constexpr std::uint64_t small_size = 1000;

struct exchange {
    std::string request;
    int status = 200;
    std::string body; ///< what the response must have
    bool head = false;
};

class conversation {
  public:
    conversation(const site& here, unsigned seed) : here_(here), random_(seed) {}

    [[nodiscard]] exchange next(bool last) {
        const std::string fields = last ? "Connection: close\r\n" : "";
        exchange one;
        const std::string probe = "probe";
        switch (below(5)) {
        case 0:
            one.request = here_.get_request("/small", probe, fields);
            one.body = sequence_bytes(0, small_size);
            break;
        case 1:
            one.request = here_.get_request("/file", probe, fields);
            one.request.replace(0, 3, "HEAD");
            one.head = true;
            break;
        case 2: {
            const std::uint64_t first = below(file_size - 1);
            const std::uint64_t length = 1 + below(file_size - first - 1);
            one.request = here_.get_request("/file", probe,
                                            "Range: bytes=" + std::to_string(first) + '-' +
                                                std::to_string(first + length - 1) + "\r\n" + fields);
            one.status = 206;
            one.body = sequence_bytes(first, length);
            break;
        }
        default:
            one.request = here_.get_request("/file", probe, fields);
            one.body = sequence_bytes(0, file_size);
        }
        return one;
    }

    [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
        return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
    }

  private:
    const site& here_;
    std::mt19937 random_;
};

void expect_response(raw_client& raw, const exchange& one) {
    const std::string head = raw.read_head();
    ASSERT_EQ(status_of(head), one.status) << head;
    if (!one.head) {
        ASSERT_EQ(field_of(head, "Content-Length"), std::to_string(one.body.size()));
        ASSERT_TRUE(raw.read(one.body.size()) == one.body);
    }
}

class pipelining : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(pipelining, EVERY_SETUP);

TEST_P(pipelining, in_random_pieces_is_answered_in_order) {
    site here({.how = GetParam(), .httpd = {.configuration = "MaxKeepAliveRequests 0\n"}});
    here.add_document("file", file_size);
    here.add_document("small", small_size);
    constexpr std::size_t requests = 60;
    for (unsigned seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        conversation talk(here, seed);
        std::vector<exchange> exchanges;
        std::vector<std::size_t> ends; // of each request, in all that is sent
        std::string sent;
        for (std::size_t i = 0; i < requests; ++i) {
            exchanges.push_back(talk.next(i + 1 == requests));
            sent += exchanges.back().request;
            ends.push_back(sent.size());
        }
        auto raw = here.connect(seed % 2 == 0 ? small_receive_buffer : 0);
        std::size_t answered = 0;
        for (std::size_t at = 0; at < sent.size();) {
            const std::size_t piece = std::min<std::size_t>(1 + talk.below(250), sent.size() - at);
            raw.send(std::string_view(sent).substr(at, piece));
            at += piece;
            // Sometimes far ahead of what was read, sometimes not at all.
            while (answered < requests && ends[answered] <= at && talk.below(3) == 0) {
                expect_response(raw, exchanges[answered++]);
                if (HasFatalFailure())
                    return;
            }
        }
        while (answered < requests) {
            expect_response(raw, exchanges[answered++]);
            if (HasFatalFailure())
                return;
        }
        EXPECT_TRUE(raw.ends(10s));
    }
    EXPECT_GT(here.httpd().requests_with_note("claimed"), 0U);
    EXPECT_GT(here.httpd().requests_with_note("declined:pipelined"), 0U);
}

} // namespace
} // namespace dlhandoff::test
