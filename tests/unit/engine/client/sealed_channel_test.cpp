#include "engine/client/sealed_channel.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <vector>

namespace dlhandoff::engine {
namespace {

tls_session session_of(std::uint16_t version, std::uint16_t suite) {
    tls_session session;
    session.version = version;
    session.suite = suite;
    for (std::size_t i = 0; i < session.write_secret.size(); ++i) {
        session.write_secret[i] = static_cast<std::uint8_t>(i + 1);
        session.read_secret[i] = static_cast<std::uint8_t>(200 - i);
    }
    return session;
}

/// The client's side: opens what a channel has sealed.
struct receiver {
    explicit receiver(const tls_session& session)
        : key(*find_tls_suite(session.version, session.suite), session.write_secret, session.write_sequence) {
    }

    /// All whole records in `wire`, their plaintext appended to `data`.
    void take(std::vector<std::uint8_t>& wire) {
        for (;;) {
            if (wire.size() < record_header_size)
                return;
            const std::size_t size = record_header_size + (std::size_t{wire[3]} << 8 | wire[4]);
            if (wire.size() < size)
                return;
            const auto opened = cipher.open(key, key.sequence++, {wire.data(), size});
            ASSERT_TRUE(opened) << "record " << records;
            ++records;
            if (opened->type == content_type::application_data)
                data.insert(data.end(), opened->plaintext.begin(), opened->plaintext.end());
            else if (opened->type == content_type::handshake)
                key.update(), ++updates;
            else
                ++alerts;
            wire.erase(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size));
        }
    }

    traffic_key key;
    record_cipher cipher;
    std::vector<std::uint8_t> data;
    int records = 0;
    int updates = 0;
    int alerts = 0;
};

/// Sends `content` through a channel whose socket takes `taken(n)` bytes at a time; what arrives on the wire.
template <class Taken>
std::vector<std::uint8_t> send_all(sealed_channel& channel, std::span<const std::uint8_t> content,
                                   Taken taken, receiver& client) {
    tls_workplace place;
    std::vector<std::uint8_t> wire;
    std::size_t position = 0;
    bool closing = false;
    while (position < content.size() || !closing || !channel.all_sent()) {
        if (position == content.size() && !closing) {
            closing = true;
            channel.finish();
        }
        sealed_channel::batch batch(channel, place);
        batch.add_control();
        for (std::size_t from = position; from < content.size();) {
            const auto into = batch.plaintext(std::min(max_record_plaintext, content.size() - from));
            if (into.empty())
                break;
            std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), into.size(), into.begin());
            EXPECT_TRUE(batch.seal());
            from += into.size();
        }
        const auto unsent = batch.unsent();
        const std::size_t count = std::min<std::size_t>(unsent.size(), taken());
        wire.insert(wire.end(), unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(count));
        position += batch.sent(count);
        client.take(wire);
    }
    return wire;
}

std::vector<std::uint8_t> sample(std::size_t size) {
    std::vector<std::uint8_t> content(size);
    for (std::size_t i = 0; i < size; ++i)
        content[i] = static_cast<std::uint8_t>(i * 31 + i / 255);
    return content;
}

struct sealed_channel_test : testing::TestWithParam<std::pair<std::uint16_t, std::uint16_t>> {
    tls_session session = session_of(GetParam().first, GetParam().second);
};

TEST_P(sealed_channel_test, records_sealed_again_continue_where_the_socket_was_full) {
    const auto content = sample(400'000);
    sealed_channel channel(session);
    receiver client(session);
    unsigned seed = 1;
    const auto rest = send_all(
        channel, content, [&] { return (seed = seed * 1'103'515'245 + 12'345) >> 16 & 0x3fff; }, client);
    EXPECT_TRUE(rest.empty());
    EXPECT_TRUE(std::ranges::equal(client.data, content));
    EXPECT_EQ(client.alerts, 1);
}

TEST_P(sealed_channel_test, the_key_is_updated_before_its_limit) {
    const auto content = sample(3'000'000);
    sealed_channel channel(session);
    channel.limit_records(40);
    receiver client(session);
    (void)send_all(
        channel, content, [] { return 100'000; }, client);
    EXPECT_TRUE(std::ranges::equal(client.data, content));
    EXPECT_GE(client.updates, session.version == tls13 ? 3 : 0);
}

TEST_P(sealed_channel_test, half_a_record_is_never_completed_with_other_bytes) {
    sealed_channel channel(session);
    tls_workplace place;
    for (const std::uint8_t fill : {std::uint8_t{1}, std::uint8_t{2}}) {
        sealed_channel::batch batch(channel, place);
        batch.add_control();
        std::ranges::fill(batch.plaintext(1000), fill);
        if (fill == 2) {
            EXPECT_FALSE(batch.seal());
            continue;
        }
        ASSERT_TRUE(batch.seal());
        EXPECT_EQ(batch.sent(500), 0U);
    }
}

TEST_P(sealed_channel_test, what_is_withdrawn_leaves_no_trace) {
    const auto content = sample(20'000);
    sealed_channel channel(session);
    tls_workplace place;
    receiver client(session);
    sealed_channel::batch batch(channel, place);
    batch.add_control();
    std::copy_n(content.begin(), 16'000, batch.plaintext(16'000).begin());
    std::copy_n(content.begin() + 16'000, 4000, batch.plaintext(4000).begin());
    ASSERT_FALSE(batch.plaintext(max_record_plaintext).empty());
    EXPECT_TRUE(batch.unsent().empty()); // nothing is sealed yet
    batch.withdraw();
    ASSERT_TRUE(batch.seal());
    const auto unsent = batch.unsent();
    std::vector<std::uint8_t> wire(unsent.begin(), unsent.end());
    EXPECT_EQ(batch.sent(wire.size()), content.size());
    EXPECT_TRUE(channel.all_sent());
    client.take(wire);
    EXPECT_TRUE(wire.empty());
    EXPECT_TRUE(std::ranges::equal(client.data, content));
    EXPECT_EQ(client.records, 2);
}

TEST_P(sealed_channel_test, an_empty_batch_has_nothing_to_send_in_the_middle_of_a_record) {
    sealed_channel channel(session);
    tls_workplace place;
    sealed_channel::batch first(channel, place);
    std::ranges::fill(first.plaintext(1000), std::uint8_t{1});
    ASSERT_TRUE(first.seal());
    EXPECT_EQ(first.sent(500), 0U);
    sealed_channel::batch second(channel, place);
    second.add_control();
    EXPECT_TRUE(second.unsent().empty());
}

TEST_P(sealed_channel_test, nothing_follows_close_notify) {
    sealed_channel channel(session);
    tls_workplace place;
    channel.finish();
    sealed_channel::batch last(channel, place);
    last.add_control();
    EXPECT_EQ(last.sent(last.unsent().size()), 0U);
    EXPECT_TRUE(channel.all_sent());
    channel.finish();
    EXPECT_TRUE(channel.all_sent());
    sealed_channel::batch more(channel, place);
    more.add_control();
    EXPECT_TRUE(more.unsent().empty());
}

INSTANTIATE_TEST_SUITE_P(
    suites, sealed_channel_test,
    testing::Values(std::pair{tls13, std::uint16_t{0x1301}}, std::pair{tls13, std::uint16_t{0x1302}},
                    std::pair{tls13, std::uint16_t{0x1303}}, std::pair{tls12, std::uint16_t{0xc02f}},
                    std::pair{tls12, std::uint16_t{0xc030}}, std::pair{tls12, std::uint16_t{0xcca8}}));

TEST_P(sealed_channel_test, the_response_is_whole_without_close_notify) {
    sealed_channel channel(session);
    receiver client(session);
    const auto content = sample(50'000);
    (void)send_all(
        channel, content, [] { return SIZE_MAX; }, client);
    const std::uint64_t close_notify = record_overhead(channel.suite()) + 2;
    const std::uint64_t wire = channel.wire_bytes(-1, content.size());
    EXPECT_EQ(channel.delivered(-1, wire, content.size()), content.size());
    EXPECT_EQ(channel.delivered(-1, wire - close_notify, content.size()), content.size());
    EXPECT_LT(channel.delivered(-1, wire - close_notify - 20, content.size()), content.size());
}

TEST(record_cipher_test, a_changed_bit_is_not_opened) {
    const tls_session session = session_of(tls13, 0x1302);
    const traffic_key key(*find_tls_suite(tls13, 0x1302), session.write_secret, 0);
    record_cipher cipher;
    std::vector<std::uint8_t> record(100 + record_overhead(key.suite()));
    cipher.seal(key, 7, content_type::application_data, record);
    for (std::size_t i = 0; i < record.size(); ++i) {
        auto changed = record;
        changed[i] ^= 1;
        EXPECT_FALSE(cipher.open(key, 7, changed)) << i;
    }
    auto copy = record;
    EXPECT_FALSE(cipher.open(key, 8, copy));
    EXPECT_TRUE(cipher.open(key, 7, record));
}

TEST(tls_suite_test, what_the_record_layer_cannot_do_is_not_found) {
    EXPECT_EQ(find_tls_suite(tls12, 0xc027), nullptr); // CBC
    EXPECT_EQ(find_tls_suite(tls12, 0x1301), nullptr);
    EXPECT_EQ(find_tls_suite(0x0302, 0xc02f), nullptr);
    EXPECT_NE(find_tls_suite(tls13, 0x1303), nullptr);
}

} // namespace
} // namespace dlhandoff::engine
