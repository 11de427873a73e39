// Offers as messages from outside: spoilt ones, and unusual ones.
#include "tests/unit/shared/offer_examples.hpp"

namespace dlhandoff {
namespace {

struct message_case {
    const char* name;
    std::function<void(bytes&)> spoil;
    refusal expected;
};

class offer_message : public testing::TestWithParam<message_case> {};

TEST_P(offer_message, is_refused_with_its_reason) {
    bytes message = example_message();
    ASSERT_EQ(reason_of(offer::decode(message)), std::nullopt);
    GetParam().spoil(message);
    EXPECT_EQ(reason_of(offer::decode(message)), GetParam().expected);
}

template <class Value>
std::function<void(bytes&)> set(std::size_t at, Value value) {
    return [=](bytes& message) { put(message, at, value); };
}

INSTANTIATE_TEST_SUITE_P(
    spoilt, offer_message,
    testing::Values(
        message_case{"nothing at all", [](bytes& message) { message.clear(); }, refusal::truncated},
        message_case{"no magic", set(0, std::uint32_t{0}), refusal::malformed},
        message_case{"later version", set(header_version_at, std::uint16_t{wire_version + 1}),
                     refusal::wire_version},
        message_case{"no version", set(header_version_at, std::uint16_t{0}), refusal::wire_version},
        message_case{"an answer", set(header_type_at, message_type::answer), refusal::malformed},
        message_case{"unknown type", set(header_type_at, std::uint16_t{77}), refusal::malformed},
        message_case{"reserved header field", set(header_zero_at, std::uint32_t{1}), refusal::malformed},
        message_case{"size says more", set(header_size_at, std::uint32_t{1'000'000}), refusal::truncated},
        message_case{"size says less", set(header_size_at, std::uint32_t{100}), refusal::malformed},
        message_case{"header alone", [](bytes& message) { set_size(message, sizeof(message_header)); },
                     refusal::truncated},
        message_case{"cut within the fixed part", [](bytes& message) { set_size(message, files_at - 1); },
                     refusal::truncated},
        message_case{"cut after the fixed part", [](bytes& message) { set_size(message, files_at); },
                     refusal::malformed},
        message_case{"a byte short", [](bytes& message) { set_size(message, message.size() - 1); },
                     refusal::malformed},
        message_case{"a byte more", [](bytes& message) { set_size(message, message.size() + 1); },
                     refusal::malformed},
        message_case{"too long", [](bytes& message) { set_size(message, max_offer_size + 1); },
                     refusal::oversized},
        message_case{"status 0", set(status_at, std::uint16_t{0}), refusal::malformed},
        message_case{"status 199", set(status_at, std::uint16_t{199}), refusal::malformed},
        message_case{"status 600", set(status_at, std::uint16_t{600}), refusal::malformed},
        message_case{"one file fewer", set(file_count_at, std::uint16_t{1}), refusal::malformed},
        message_case{"one file more", set(file_count_at, std::uint16_t{3}), refusal::malformed},
        message_case{"too many files", set(file_count_at, std::uint16_t{max_plan_files + 1}),
                     refusal::oversized},
        message_case{"most files", set(file_count_at, std::uint16_t{0xffff}), refusal::oversized},
        message_case{"no pieces", set(piece_count_at, std::uint16_t{0}), refusal::malformed},
        message_case{"one piece more", set(piece_count_at, std::uint16_t{4}), refusal::malformed},
        message_case{"too many pieces", set(piece_count_at, std::uint16_t{max_plan_pieces + 1}),
                     refusal::oversized},
        message_case{"keys that are not there", set(has_tls_at, std::uint16_t{1}), refusal::malformed},
        message_case{"more than one session", set(has_tls_at, std::uint16_t{2}), refusal::malformed},
        message_case{"a way back without a time", set(keep_alive_at, std::uint32_t{0}), refusal::malformed},
        message_case{"an unknown check of files", set(check_at, std::uint16_t{2}), refusal::malformed},
        message_case{"neither with sendfile nor without", set(use_sendfile_at, std::uint16_t{2}),
                     refusal::malformed},
        message_case{"less memory", set(memory_size_at, std::uint32_t{1}), refusal::malformed},
        message_case{"too much memory", set(memory_size_at, std::uint32_t{max_plan_memory + 1}),
                     refusal::oversized},
        message_case{"most memory", set(memory_size_at, ~std::uint32_t{0}), refusal::oversized},
        message_case{"longer first text", set(text_sizes_at, std::uint16_t{0xffff}), refusal::malformed},
        message_case{"shorter last text", set(text_sizes_at + 18, std::uint16_t{0}), refusal::malformed},
        message_case{"bytes before no rate", set(rate_at, std::uint64_t{0}), refusal::malformed},
        message_case{"a file shorter than its piece", set(files_at + 16, std::uint64_t{3999}),
                     refusal::malformed},
        message_case{"a file of more than off_t", set(files_at + 16, ~std::uint64_t{0}), refusal::malformed},
        message_case{"a piece of no source", set(pieces_at, std::uint32_t{2}), refusal::malformed},
        message_case{"a piece of no file", set(pieces_at + sizeof(plan_piece) + 4, std::uint32_t{2}),
                     refusal::malformed}),
    [](const auto& one) { return test_name(one.param.name); });

TEST(offer, no_shorter_message_is_an_offer) {
    const bytes whole = example_message();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(reason_of(offer::decode(cut)), refusal::truncated) << size;
        if (size < sizeof(message_header))
            continue;
        put(cut, header_size_at, static_cast<std::uint32_t>(size));
        EXPECT_NE(reason_of(offer::decode(cut)), std::nullopt) << size;
    }
}

TEST(offer, sizes_that_make_up_for_each_other_are_taken_within_bounds) {
    // A byte moved from the last text to the memory: other contents, the same size, and still in bounds.
    bytes message = example_message();
    const std::string_view path = example_terms.path;
    put(message, text_sizes_at + 18, static_cast<std::uint16_t>(path.size() - 1));
    put(message, memory_size_at, static_cast<std::uint32_t>(head_text.size() + 1));
    const offer received = offer_of(offer::decode(message));
    EXPECT_EQ(received.returning().path, path.substr(0, path.size() - 1));
    EXPECT_EQ(received.memory().size(), head_text.size() + 1);
}

TEST(offer, a_message_that_is_not_aligned_is_read_right) {
    const bytes whole = example_message();
    for (std::size_t shift = 1; shift < 8; ++shift) {
        bytes buffer(whole.size() + shift);
        std::ranges::copy(whole, buffer.begin() + static_cast<std::ptrdiff_t>(shift));
        EXPECT_EQ(offer_of(offer::decode(std::span(buffer).subspan(shift))).facts(), example_facts());
    }
}

} // namespace
} // namespace dlhandoff
