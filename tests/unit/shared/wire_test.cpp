#include "shared/wire.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <span>
#include <string_view>
#include <vector>

namespace dlhandoff {
namespace {

using bytes = std::vector<std::byte>;

template <std::size_t Size>
bytes as_vector(const std::array<std::byte, Size>& message) {
    return {message.begin(), message.end()};
}

bytes header_alone(const message_header& header, std::size_t size) {
    bytes message(size);
    std::memcpy(message.data(), &header, std::min(sizeof header, size));
    return message;
}

hello some_hello() {
    hello value{4711, 3, {}, 0x123456789abcdefU, 5, 0};
    std::string_view("m12").copy(value.manager.data(), value.manager.size());
    return value;
}

TEST(wire, a_header_of_this_version_and_type_passes) {
    const auto header = make_header(message_type::offer, 40);
    EXPECT_EQ(check_header(header_alone(header, 40), message_type::offer), std::nullopt);
}

TEST(wire, a_header_says_what_is_wrong) {
    const auto good = make_header(message_type::offer, 40);
    const auto checked = [](message_header header, std::size_t size) {
        return check_header(header_alone(header, size), message_type::offer);
    };
    EXPECT_EQ(check_header({}, message_type::offer), refusal::truncated);
    EXPECT_EQ(checked(good, 15), refusal::truncated);
    EXPECT_EQ(checked(good, 39), refusal::truncated);
    EXPECT_EQ(checked(good, 41), refusal::malformed);
    EXPECT_EQ(check_header(header_alone(good, 40), message_type::answer), refusal::malformed);

    auto other = good;
    other.magic ^= 1;
    EXPECT_EQ(checked(other, 40), refusal::malformed);
    other = good;
    other.zero = 1;
    EXPECT_EQ(checked(other, 40), refusal::malformed);
    other = good;
    other.version = wire_version + 1;
    EXPECT_EQ(checked(other, 40), refusal::wire_version);
    // Another version may mean its size and type otherwise: what is told apart is the version.
    other.size = 1'000'000;
    other.type = static_cast<message_type>(99);
    EXPECT_EQ(checked(other, 40), refusal::wire_version);
}

TEST(wire, hello_arrives_as_it_was_sent) {
    const auto message = encode(some_hello());
    const auto received = decode_hello(message);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->manager_pid, 4711U);
    EXPECT_EQ(received->slot, 3U);
    EXPECT_STREQ(received->manager.data(), "m12");
    EXPECT_EQ(received->epoch, 0x123456789abcdefU);
    EXPECT_EQ(received->index, 5U);
}

TEST(wire, a_hello_without_an_end_to_its_name_gets_one) {
    hello value = some_hello();
    value.manager.fill('x');
    const auto received = decode_hello(encode(value));
    ASSERT_TRUE(received);
    EXPECT_EQ(std::string_view(received->manager.data()), "xxxxxxxxxxxxxxx");
}

TEST(wire, a_hello_with_more_than_zero_at_its_end_is_none) {
    hello value = some_hello();
    value.zero = 1;
    EXPECT_FALSE(decode_hello(encode(value)));
}

TEST(wire, a_hello_of_another_size_or_type_is_none) {
    const bytes whole = as_vector(encode(some_hello()));
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_hello(std::span(whole).first(size))) << size;
    bytes longer = whole;
    longer.resize(whole.size() + 8);
    const auto header = make_header(message_type::hello, longer.size());
    std::memcpy(longer.data(), &header, sizeof header);
    EXPECT_FALSE(decode_hello(longer));
    EXPECT_FALSE(decode_hello(encode(answer{1, true, {}})));
}

TEST(wire, a_claim_arrives_as_it_was_sent) {
    const auto received = decode_answer(encode(answer{0x123456789abcdefU, true, {}}));
    ASSERT_TRUE(received);
    EXPECT_TRUE(received->claimed);
    EXPECT_EQ(received->sequence, 0x123456789abcdefU);
}

TEST(wire, every_refusal_arrives_as_it_was_sent) {
    for (std::uint16_t number = 1; number < refusal_count; ++number) {
        const auto received = decode_answer(encode(answer{number, false, refusal_from_number(number)}));
        ASSERT_TRUE(received);
        EXPECT_FALSE(received->claimed);
        EXPECT_EQ(received->sequence, number);
        EXPECT_EQ(static_cast<std::uint16_t>(received->reason), number);
    }
}

TEST(wire, a_later_versions_reason_is_a_refusal_still) {
    auto message = encode(answer{5, false, refusal::full});
    const std::uint16_t unknown = 999;
    std::memcpy(message.data() + sizeof(message_header) + sizeof(std::uint64_t), &unknown, sizeof unknown);
    const auto received = decode_answer(message);
    ASSERT_TRUE(received);
    EXPECT_FALSE(received->claimed);
    EXPECT_EQ(received->reason, refusal::malformed);
}

TEST(wire, an_answer_of_another_size_or_type_is_none) {
    const bytes whole = as_vector(encode(answer{1, true, {}}));
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_answer(std::span(whole).first(size))) << size;
    EXPECT_FALSE(decode_answer(encode(some_hello())));
    bytes other = whole;
    other[4] = std::byte{wire_version + 1};
    EXPECT_FALSE(decode_answer(other));
}

TEST(wire, a_return_arrives_as_it_was_sent_and_nothing_else_is_one) {
    const bytes whole = as_vector(encode(return_message{99}));
    const auto received = decode_return(whole);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->requests, 99U);
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_return(std::span(whole).first(size))) << size;
    EXPECT_FALSE(decode_return(encode(answer{1, true, {}})));
    for (const std::size_t at : {std::size_t{0}, std::size_t{4}, whole.size() - 1}) {
        bytes other = whole;
        other[at] ^= std::byte{1};
        EXPECT_FALSE(decode_return(other)) << at;
    }
}

TEST(wire, the_version_is_known_of_a_message_that_is_not_understood) {
    auto header = make_header(message_type::hello, 40);
    header.version = wire_version + 7;
    std::array<std::byte, 40> message{};
    std::memcpy(message.data(), &header, sizeof header);
    EXPECT_EQ(version_of(message), wire_version + 7);
    EXPECT_EQ(version_of(std::span(message).first(sizeof header - 1)), std::nullopt);
    EXPECT_EQ(version_of(std::span(message).first(sizeof header)), wire_version + 7);
    message[0] ^= std::byte{1};
    EXPECT_EQ(version_of(message), std::nullopt) << "no message of ours";
}

} // namespace
} // namespace dlhandoff
