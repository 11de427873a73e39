#include "shared/offer.hpp"

#include "shared/wire.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dlhandoff {

// For messages of failed comparisons.
static void PrintTo(refusal reason, std::ostream* out) {
    *out << name(reason);
}

namespace {

using source = plan_piece::source;
using bytes = std::vector<std::byte>;

constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();

// Where the message's fields are. wire_version must be raised when they move.
constexpr std::size_t header_version_at = 4;
constexpr std::size_t header_type_at = 6;
constexpr std::size_t header_size_at = 8;
constexpr std::size_t header_zero_at = 12;
constexpr std::size_t status_at = 28;
constexpr std::size_t file_count_at = 30;
constexpr std::size_t piece_count_at = 32;
constexpr std::size_t has_tls_at = 34;
constexpr std::size_t memory_size_at = 36;
constexpr std::size_t keep_alive_at = 40;
constexpr std::size_t text_sizes_at = 48;
constexpr std::size_t zero_at = 66;
constexpr std::size_t files_at = 72;
constexpr std::size_t pieces_at = files_at + 2 * sizeof(file_identity); // of example_message()

constexpr return_terms example_terms{"/run/apache2/dlhandoff.return.77", 5000, 3};
constexpr std::string_view head_text = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

request_facts example_facts() {
    return {"192.0.2.7",          "192.0.2.7", "anna",    "downloads.example", "GET",
            "/disk.iso?mirror=2", "bytes=0-",  "nightly", std::uint16_t{206}};
}

std::vector<file_identity> example_files() {
    return {{.device = 2049, .inode = 12, .size = 4000, .modified_nanoseconds = 1'700'000'000'123'456'789},
            {.device = 2049, .inode = 13, .size = 6'000'000'000, .modified_nanoseconds = -1}};
}

std::vector<plan_piece> example_pieces() {
    return {{source::memory, 0, 0, head_text.size()},
            {source::file, 0, 1000, 3000},
            {source::file, 1, 5'000'000'000, 1'000'000'000}};
}

/// The offer, or a failed test.
offer offer_of(std::variant<offer, refusal> result) {
    if (const auto* reason = std::get_if<refusal>(&result))
        throw std::runtime_error("refused: " + std::string(name(*reason)));
    return std::get<offer>(std::move(result));
}

offer example() {
    return offer_of(offer::make(example_facts(), example_files(), example_pieces(), bytes_of(head_text),
                                nullptr, example_terms));
}

bytes example_message() {
    const offer made = example();
    return {made.message().begin(), made.message().end()};
}

std::optional<refusal> reason_of(const std::variant<offer, refusal>& result) {
    const auto* reason = std::get_if<refusal>(&result);
    return reason == nullptr ? std::nullopt : std::optional(*reason);
}

std::optional<refusal> make_refusal(std::span<const file_identity> files, std::span<const plan_piece> pieces,
                                    std::span<const std::byte> memory) {
    return reason_of(offer::make(example_facts(), files, pieces, memory));
}

void expect_same(const offer& one, const offer& other) {
    EXPECT_EQ(one.facts(), other.facts());
    EXPECT_TRUE(std::ranges::equal(one.files(), other.files()));
    EXPECT_TRUE(std::ranges::equal(one.pieces(), other.pieces()));
    EXPECT_TRUE(std::ranges::equal(one.memory(), other.memory()));
    EXPECT_EQ(one.back(), other.back());
    EXPECT_TRUE(std::ranges::equal(one.message(), other.message()));
}

template <class Value>
void put(bytes& message, std::size_t at, Value value) {
    ASSERT_LE(at + sizeof value, message.size());
    std::memcpy(message.data() + at, &value, sizeof value);
}

void set_size(bytes& message, std::size_t size) {
    message.resize(size);
    put(message, header_size_at, static_cast<std::uint32_t>(size));
}

TEST(offer, keeps_what_it_was_made_of) {
    const offer made = example();
    EXPECT_EQ(made.facts(), example_facts());
    EXPECT_TRUE(std::ranges::equal(made.files(), example_files()));
    EXPECT_TRUE(std::ranges::equal(made.pieces(), example_pieces()));
    EXPECT_TRUE(std::ranges::equal(made.memory(), bytes_of(head_text)));
    EXPECT_EQ(made.file_bytes(), 1'000'003'000U);
    EXPECT_EQ(made.response_bytes(), 1'000'003'000U + head_text.size());
}

TEST(offer, arrives_as_it_was_sent) {
    offer made = example();
    made.set_ticket({.slot = 17, .sequence = 0x3fff'ffff'ffff'fff0});
    const offer received = offer_of(offer::decode(made.message()));
    expect_same(made, received);
    EXPECT_EQ(received.claim_ticket(), (ticket{17, 0x3fff'ffff'ffff'fff0}));
    EXPECT_EQ(received.response_bytes(), made.response_bytes());
    EXPECT_EQ(received.file_bytes(), made.file_bytes());
}

TEST(offer, has_a_copy_of_the_message_it_came_from) {
    bytes message = example_message();
    const offer received = offer_of(offer::decode(message));
    std::ranges::fill(message, std::byte{0xff});
    EXPECT_EQ(received.facts().uri, "/disk.iso?mirror=2");
}

TEST(offer, texts_may_be_empty_and_of_any_bytes) {
    request_facts facts;
    facts.uri = std::string_view("/\0\xff\"\n", 5);
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 1}};
    const offer received =
        offer_of(offer::decode(offer_of(offer::make(facts, {}, pieces, bytes_of("x"))).message()));
    EXPECT_EQ(received.facts(), facts);
    EXPECT_TRUE(received.files().empty());
    EXPECT_EQ(received.response_bytes(), 1U);
    EXPECT_EQ(received.file_bytes(), 0U);
}

TEST(offer, as_large_as_allowed) {
    const std::vector<file_identity> files(max_plan_files, {1, 2, 100, 3});
    std::vector<plan_piece> pieces(max_plan_pieces, {source::file, max_plan_files - 1, 99, 1});
    const bytes memory(max_plan_memory, std::byte{7});
    pieces[1] = {source::memory, 0, 0, max_plan_memory};
    request_facts facts = example_facts();
    // What is left of the message goes to the longest text.
    const std::size_t rest =
        max_offer_size - offer_of(offer::make({}, files, pieces, memory)).message().size();
    const std::string uri(rest, 'u');
    facts = {};
    facts.uri = uri;
    const offer made = offer_of(offer::make(facts, files, pieces, memory));
    EXPECT_EQ(made.message().size(), max_offer_size);
    expect_same(made, offer_of(offer::decode(made.message())));

    const std::string longer = uri + 'u';
    facts.uri = longer;
    EXPECT_EQ(reason_of(offer::make(facts, files, pieces, memory)), refusal::oversized);
}

TEST(offer, larger_than_allowed_is_not_made) {
    const auto files = example_files();
    const auto pieces = example_pieces();
    EXPECT_EQ(
        make_refusal(std::vector<file_identity>(max_plan_files + 1, files[0]), pieces, bytes_of(head_text)),
        refusal::oversized);
    EXPECT_EQ(
        make_refusal(files, std::vector<plan_piece>(max_plan_pieces + 1, pieces[1]), bytes_of(head_text)),
        refusal::oversized);
    EXPECT_EQ(make_refusal(files, pieces, bytes(max_plan_memory + 1)), refusal::oversized);
    const std::string text(std::numeric_limits<std::uint16_t>::max() + std::size_t{1}, 'u');
    request_facts facts = example_facts();
    facts.range = text;
    EXPECT_EQ(reason_of(offer::make(facts, files, pieces, bytes_of(head_text))), refusal::oversized);
}

/// A test's name for a case's name, which is words.
std::string test_name(std::string_view words) {
    std::string text(words);
    std::ranges::replace(text, ' ', '_');
    return text;
}

struct plan_case {
    const char* name;
    plan_piece piece;
    std::optional<refusal> expected;
};

/// One piece over one file of 4,000 bytes, one of 2^63 - 1, one of 2^63, and 10 bytes of memory: what a
/// worker may make, and what a manager takes, is the same.
class offer_plan : public testing::TestWithParam<plan_case> {};

TEST_P(offer_plan, is_judged_alike_on_both_sides) {
    const std::vector<file_identity> files{{1, 1, 4000, 0}, {1, 2, most, 0}, {1, 3, most + 1, 0}};
    const std::vector<plan_piece> sound{{source::memory, 0, 0, 10}};
    const std::vector<plan_piece> tried{GetParam().piece};
    const auto memory = bytes_of("0123456789");
    EXPECT_EQ(make_refusal(files, tried, memory), GetParam().expected);

    const offer made = offer_of(offer::make({}, files, sound, memory));
    bytes message(made.message().begin(), made.message().end());
    std::memcpy(message.data() + files_at + files.size() * sizeof(file_identity), tried.data(),
                sizeof(plan_piece));
    EXPECT_EQ(reason_of(offer::decode(message)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    pieces, offer_plan,
    testing::Values(plan_case{"whole file", {source::file, 0, 0, 4000}, std::nullopt},
                    plan_case{"last byte", {source::file, 0, 3999, 1}, std::nullopt},
                    plan_case{"whole largest file", {source::file, 1, 0, most}, std::nullopt},
                    plan_case{"all memory", {source::memory, 0, 0, 10}, std::nullopt},
                    plan_case{"empty", {source::file, 0, 0, 0}, refusal::malformed},
                    plan_case{"empty at the end", {source::file, 0, 4000, 0}, refusal::malformed},
                    plan_case{"one byte too long", {source::file, 0, 0, 4001}, refusal::malformed},
                    plan_case{"one byte too far", {source::file, 0, 4000, 1}, refusal::malformed},
                    plan_case{"offset beyond the end", {source::file, 0, 4001, 1}, refusal::malformed},
                    plan_case{"end wraps", {source::file, 0, 1, ~std::uint64_t{0}}, refusal::malformed},
                    plan_case{"offset wraps", {source::file, 0, ~std::uint64_t{0}, 2}, refusal::malformed},
                    plan_case{"file beyond off_t", {source::file, 2, 0, 1}, refusal::malformed},
                    plan_case{"no such file", {source::file, 3, 0, 1}, refusal::malformed},
                    plan_case{
                        "no such file by far", {source::file, ~std::uint32_t{0}, 0, 1}, refusal::malformed},
                    plan_case{"memory too long", {source::memory, 0, 0, 11}, refusal::malformed},
                    plan_case{"memory too far", {source::memory, 0, 10, 1}, refusal::malformed},
                    plan_case{"memory wraps", {source::memory, 0, ~std::uint64_t{0}, 11}, refusal::malformed},
                    plan_case{"memory of a file", {source::memory, 1, 0, 1}, refusal::malformed},
                    plan_case{"no such source", {static_cast<source>(2), 0, 0, 1}, refusal::malformed}),
    [](const auto& one) { return test_name(one.param.name); });

TEST(offer, a_total_beyond_63_bits_is_refused) {
    const std::vector<file_identity> files{{1, 2, most, 0}};
    EXPECT_EQ(make_refusal(files, std::vector<plan_piece>{{source::file, 0, 0, most}}, {}), std::nullopt);
    EXPECT_EQ(
        make_refusal(files, std::vector<plan_piece>{{source::file, 0, 0, most}, {source::file, 0, 0, 1}}, {}),
        refusal::malformed);
    EXPECT_EQ(make_refusal(files, std::vector<plan_piece>(3, {source::file, 0, 0, most}), {}),
              refusal::malformed);
}

TEST(offer, an_empty_plan_is_refused) {
    EXPECT_EQ(make_refusal(example_files(), {}, bytes_of(head_text)), refusal::malformed);
}

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
                     refusal::version},
        message_case{"no version", set(header_version_at, std::uint16_t{0}), refusal::version},
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
        message_case{"reserved field", set(zero_at, std::uint16_t{1}), refusal::malformed},
        message_case{"less memory", set(memory_size_at, std::uint32_t{1}), refusal::malformed},
        message_case{"too much memory", set(memory_size_at, std::uint32_t{max_plan_memory + 1}),
                     refusal::oversized},
        message_case{"most memory", set(memory_size_at, ~std::uint32_t{0}), refusal::oversized},
        message_case{"longer first text", set(text_sizes_at, std::uint16_t{0xffff}), refusal::malformed},
        message_case{"shorter last text", set(text_sizes_at + 16, std::uint16_t{0}), refusal::malformed},
        message_case{"a file shorter than its piece", set(files_at + 16, std::uint64_t{3999}),
                     refusal::malformed},
        message_case{"a file of more than off_t", set(files_at + 16, ~std::uint64_t{0}), refusal::malformed},
        message_case{"a piece of no source", set(pieces_at, std::uint32_t{2}), refusal::malformed},
        message_case{"a piece of no file", set(pieces_at + sizeof(plan_piece) + 4, std::uint32_t{2}),
                     refusal::malformed}),
    [](const auto& one) { return test_name(one.param.name); });

TEST(offer, carries_the_keys_of_a_tls_connection_until_they_are_forgotten) {
    tls_session session;
    session.version = 0x0304;
    session.suite = 0x1302;
    session.write_sequence = 2;
    session.write_secret.fill(7);
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
    const offer made = offer_of(offer::make({}, {}, pieces, std::as_bytes(std::span("hello", 5)), &session));
    offer received = offer_of(offer::decode(made.message()));
    ASSERT_NE(received.tls(), nullptr);
    EXPECT_EQ(std::memcmp(received.tls(), &session, sizeof session), 0);
    EXPECT_EQ(received.memory().size(), 5U);
    received.forget_secrets();
    EXPECT_EQ(received.tls(), nullptr);
    const auto message = received.message();
    EXPECT_EQ(std::ranges::search(message, std::vector(4, std::byte{7})).size(), 0U);
}

TEST(offer, is_of_a_final_response) {
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
    request_facts facts;
    for (const int status : {0, 100, 199, 600}) {
        facts.status = static_cast<std::uint16_t>(status);
        EXPECT_EQ(reason_of(offer::make(facts, {}, pieces, std::as_bytes(std::span("hello", 5)))),
                  refusal::malformed)
            << status;
    }
}

TEST(offer, that_ends_before_its_keys_do_is_not_taken) {
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 1}};
    const offer made = offer_of(offer::make({}, {}, pieces, std::as_bytes(std::span("x", 1))));
    bytes message(made.message().begin(), made.message().end());
    ASSERT_LT(message.size(), sizeof(tls_session) + files_at);
    put(message, has_tls_at, std::uint16_t{1});
    EXPECT_EQ(reason_of(offer::decode(message)), refusal::malformed);
}

TEST(offer, of_keys_without_a_version_is_not_taken) {
    const tls_session nothing;
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
    const offer made = offer_of(offer::make({}, {}, pieces, std::as_bytes(std::span("hello", 5)), &nothing));
    EXPECT_EQ(reason_of(offer::decode(made.message())), refusal::malformed);
}

TEST(offer, says_how_the_connection_goes_on) {
    const auto with = [](const return_terms& back, const tls_session* tls = nullptr) {
        const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
        return offer::make({}, {}, pieces, bytes_of("hello"), tls, back);
    };
    EXPECT_EQ(offer_of(offer::decode(example_message())).back(), example_terms);
    EXPECT_EQ(offer_of(with({})).back(), return_terms{});
    const std::string longest = "/" + std::string(longest_return_path - 1, 'x');
    EXPECT_EQ(offer_of(with({longest, 1, 0})).back().path, longest);
    for (const return_terms& wrong :
         {return_terms{"", 1, 0}, return_terms{"/path", 0, 0}, return_terms{"relative", 1, 0},
          return_terms{longest + 'x', 1, 0}, return_terms{std::string_view("/\0x", 3), 1, 0}})
        EXPECT_EQ(reason_of(with(wrong)), refusal::malformed) << wrong.path;
    tls_session session;
    session.version = 0x0304;
    EXPECT_EQ(reason_of(with(example_terms, &session)), refusal::malformed);
}

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
    put(message, text_sizes_at + 16, static_cast<std::uint16_t>(path.size() - 1));
    put(message, memory_size_at, static_cast<std::uint32_t>(head_text.size() + 1));
    const offer received = offer_of(offer::decode(message));
    EXPECT_EQ(received.back().path, path.substr(0, path.size() - 1));
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
