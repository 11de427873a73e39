#include "shared/unix_address.hpp"
#include "tests/unit/shared/offer_examples.hpp"

namespace dlhandoff {
namespace {

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
    EXPECT_EQ(offer_of(offer::decode(example_message())).returning(), example_terms);
    EXPECT_EQ(offer_of(with({})).returning(), return_terms{});
    const std::string longest = "/" + std::string(unix_address::longest_path - 1, 'x');
    EXPECT_EQ(offer_of(with({longest, 1, 0})).returning().path, longest);
    const std::string too_long = longest + 'x';
    const std::vector<return_terms> all_wrong{{"", 1, 0},
                                              {"/path", 0, 0},
                                              {"relative", 1, 0},
                                              {too_long, 1, 0},
                                              {std::string_view("/\0x", 3), 1, 0}};
    for (const return_terms& wrong : all_wrong)
        EXPECT_EQ(reason_of(with(wrong)), refusal::malformed) << wrong.path;
    tls_session session;
    session.version = 0x0304;
    EXPECT_EQ(reason_of(with(example_terms, &session)), refusal::malformed);
}

TEST(offer, says_how_fast_the_response_may_go) {
    const auto with = [](const pace& speed) {
        const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
        return offer::make({}, {}, pieces, bytes_of("hello"), nullptr, {}, speed);
    };
    EXPECT_EQ(offer_of(offer::decode(example_message())).speed(), example_speed);
    EXPECT_EQ(offer_of(with({})).speed(), pace{});
    EXPECT_EQ(offer_of(with({most, 0})).speed(), (pace{most, 0}));
    EXPECT_EQ(reason_of(with({0, 1})), refusal::malformed);
    bytes message = example_message();
    put(message, after_at, std::uint64_t{0});
    EXPECT_EQ(offer_of(offer::decode(message)).speed(), (pace{example_speed.rate, 0}));
}

TEST(offer, says_how_its_files_are_read) {
    const auto with = [](const reading_terms& reading) {
        const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
        return offer::make({}, {}, pieces, bytes_of("hello"), nullptr, {}, {}, reading);
    };
    EXPECT_EQ(offer_of(offer::decode(example_message())).reading(), example_reading);
    const reading_terms usual{};
    EXPECT_EQ(usual.check, file_check::size);
    EXPECT_TRUE(usual.use_sendfile);
    EXPECT_EQ(offer_of(with({})).reading(), usual);
    for (const reading_terms& one :
         {reading_terms{file_check::size, false}, reading_terms{file_check::mtime, true}})
        EXPECT_EQ(offer_of(offer::decode(offer_of(with(one)).message())).reading(), one);
    EXPECT_EQ(reason_of(with({static_cast<file_check>(2), true})), refusal::malformed);
}

TEST(offer, can_take_anothers_place_and_leaves_no_keys_behind) {
    const std::vector<plan_piece> pieces{{source::memory, 0, 0, 5}};
    tls_session session;
    session.version = 0x0304;
    offer place = offer_of(offer::make({}, {}, pieces, bytes_of("hello"), &session));
    ASSERT_NE(place.tls(), nullptr);
    place = example();
    EXPECT_EQ(place.tls(), nullptr);
    expect_same(place, example());
}

} // namespace
} // namespace dlhandoff
