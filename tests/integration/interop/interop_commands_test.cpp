// What is typed into openssl s_client while its download is under way.
#include "tests/integration/harness/site.hpp"
#include "tests/integration/interop/client_program.hpp"
#include "tests/integration/interop/interop_results.hpp"

#include <algorithm>
#include <optional>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;
constexpr std::uint64_t large = 12 * megabyte;

/// s_client prints what it has received, and we don't read more than we want: so its download stays mid-way.
class s_client_session {
  public:
    s_client_session(site& here, std::vector<std::string> options) : site_(here) {
        here.add_document("file", large);
        options.insert(options.begin(), {"openssl", "s_client", "-connect",
                                         here.httpd().address() + ':' + std::to_string(https_port)});
        client_.emplace(std::move(options));
        type(here.get_request("/file", probe));
        // Before the response, s_client tells about the session.
        std::string head;
        do {
            head = client_->io().read_head();
        } while (!head.empty() && head.find("HTTP/1.1 200 ") == std::string::npos);
        EXPECT_NE(head, "") << client_->messages();
        read_more(megabyte);
        EXPECT_EQ(here.httpd().note_of(probe), "claimed");
        EXPECT_FALSE(here.transfers().transfer(probe, 0ms)) << "not mid-way";
    }

    void type(std::string_view text) { client_->io().send(text); }
    void end_input() { client_->io().half_close(); }
    void read_more(std::uint64_t count) { received_ += client_->io().read(count); }
    [[nodiscard]] std::string messages() const { return client_->messages(); }
    [[nodiscard]] bool has(std::uint64_t count) const { return received_ == sequence_bytes(0, count); }

    /// Reads the rest; true if all has come, and the client has ended well.
    [[nodiscard]] bool completes() {
        read_more(large - received_.size());
        return has(large) && client_->exit_status() == 0 &&
               site_.transfers().transfer(probe).value_or(nlohmann::json::object()).value("outcome", "") ==
                   "complete";
    }
    /// Reads to the end; how much of the document has come, or nothing if it is not its beginning.
    [[nodiscard]] std::optional<std::uint64_t> stops() {
        received_ += client_->io().read_to_end();
        // What s_client says at the end is no part of it.
        const auto [wrong, unused] = std::ranges::mismatch(
            received_, sequence_bytes(0, std::min<std::uint64_t>(large, received_.size())));
        const auto right = static_cast<std::uint64_t>(wrong - received_.begin());
        return received_.size() - right < 4096 ? std::optional(right) : std::nullopt;
    }

    static constexpr const char* probe = "typed";

  private:
    site& site_;
    std::optional<interactive_client> client_;
    std::string received_;
};

class interop_commands : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(interop_commands, setup{"event"}, setup{"event", true});

TEST_P(interop_commands, key_updates) {
    NEEDS_PROGRAM("openssl", "openssl");
    site here({.how = GetParam(), .https = ""});
    s_client_session client(here, {"-tls1_3"});
    for (int i = 0; i < 3; ++i) {
        client.type("k\n");
        client.read_more(megabyte);
        client.type("K\n");
        client.read_more(megabyte);
    }
    const bool right = client.completes();
    EXPECT_TRUE(right) << client.messages();
    EXPECT_NE(client.messages().find("KEYUPDATE"), std::string::npos) << client.messages();
    interop_results(client_version("openssl")).add("KeyUpdate in mid-download (TLS 1.3)", "claimed", right);
}

TEST_P(interop_commands, renegotiation) {
    NEEDS_PROGRAM("openssl", "openssl");
    site here({.how = GetParam(), .https = "SSLProtocol all\n"});
    s_client_session client(here, {"-tls1_2"});
    client.type("R\n");
    const auto came = client.stops();
    // s_client doesn't bear data before the answer, and gives up; what it has got till then is right.
    EXPECT_TRUE(came && *came > megabyte && *came < large) << came.value_or(0);
    EXPECT_NE(client.messages().find("RENEGOTIATING"), std::string::npos) << client.messages();
    const auto transfer = here.transfers().transfer(s_client_session::probe);
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->at("outcome"), "client-closed");
    interop_results(client_version("openssl"))
        .add("renegotiation in mid-download (TLS 1.2): the client gives up", "claimed", came.has_value());
}

TEST_P(interop_commands, the_end_of_input) {
    NEEDS_PROGRAM("openssl", "openssl");
    site here({.how = GetParam(), .https = ""});
    s_client_session client(here, {"-ign_eof"});
    client.end_input();
    const bool right = client.completes();
    EXPECT_TRUE(right) << client.messages();
    interop_results(client_version("openssl")).add("-ign_eof, input ended in mid-download", "claimed", right);
}

} // namespace
} // namespace dlhandoff::test
