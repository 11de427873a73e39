#pragma once

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
inline void PrintTo(refusal reason, std::ostream* out) {
    *out << name(reason);
}

using source = plan_piece::source;
using bytes = std::vector<std::byte>;

inline constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();

// Where the message's fields are. wire_version must be raised when they move.
inline constexpr std::size_t header_version_at = 4;
inline constexpr std::size_t header_type_at = 6;
inline constexpr std::size_t header_size_at = 8;
inline constexpr std::size_t header_zero_at = 12;
inline constexpr std::size_t status_at = 28;
inline constexpr std::size_t file_count_at = 30;
inline constexpr std::size_t piece_count_at = 32;
inline constexpr std::size_t has_tls_at = 34;
inline constexpr std::size_t memory_size_at = 36;
inline constexpr std::size_t keep_alive_at = 40;
inline constexpr std::size_t text_sizes_at = 48;
inline constexpr std::size_t check_at = 68;
inline constexpr std::size_t use_sendfile_at = 70;
inline constexpr std::size_t rate_at = 72;
inline constexpr std::size_t after_at = 80;
inline constexpr std::size_t files_at = 88;
inline constexpr std::size_t pieces_at = files_at + 2 * sizeof(file_identity); // of example_message()

inline constexpr return_terms example_terms{"/run/apache2/dlhandoff.return.77", 5000, 3};
inline constexpr pace example_speed{500'000, 1'000'000};
inline constexpr reading_terms example_reading{file_check::mtime, false};
inline constexpr std::string_view head_text = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

inline request_facts example_facts() {
    return {"192.0.2.7", "192.0.2.7", "anna", "downloads.example", "GET", "/disk.iso?mirror=2",
            "bytes=0-",  "nightly",   "bulk", std::uint16_t{206}};
}

inline std::vector<file_identity> example_files() {
    return {{.device = 2049, .inode = 12, .size = 4000, .modified_nanoseconds = 1'700'000'000'123'456'789},
            {.device = 2049, .inode = 13, .size = 6'000'000'000, .modified_nanoseconds = -1}};
}

inline std::vector<plan_piece> example_pieces() {
    return {{source::memory, 0, 0, head_text.size()},
            {source::file, 0, 1000, 3000},
            {source::file, 1, 5'000'000'000, 1'000'000'000}};
}

/// The offer, or a failed test.
inline offer offer_of(std::variant<offer, refusal> result) {
    if (const auto* reason = std::get_if<refusal>(&result))
        throw std::runtime_error("refused: " + std::string(name(*reason)));
    return std::get<offer>(std::move(result));
}

inline offer example() {
    return offer_of(offer::make(example_facts(), example_files(), example_pieces(), bytes_of(head_text),
                                nullptr, example_terms, example_speed, example_reading));
}

inline bytes example_message() {
    const offer made = example();
    return {made.message().begin(), made.message().end()};
}

inline std::optional<refusal> reason_of(const std::variant<offer, refusal>& result) {
    const auto* reason = std::get_if<refusal>(&result);
    return reason == nullptr ? std::nullopt : std::optional(*reason);
}

inline std::optional<refusal> make_refusal(std::span<const file_identity> files,
                                           std::span<const plan_piece> pieces,
                                           std::span<const std::byte> memory) {
    return reason_of(offer::make(example_facts(), files, pieces, memory));
}

inline void expect_same(const offer& one, const offer& other) {
    EXPECT_EQ(one.facts(), other.facts());
    EXPECT_TRUE(std::ranges::equal(one.files(), other.files()));
    EXPECT_TRUE(std::ranges::equal(one.pieces(), other.pieces()));
    EXPECT_TRUE(std::ranges::equal(one.memory(), other.memory()));
    EXPECT_EQ(one.returning(), other.returning());
    EXPECT_EQ(one.speed(), other.speed());
    EXPECT_EQ(one.reading(), other.reading());
    EXPECT_TRUE(std::ranges::equal(one.message(), other.message()));
}

template <class Value>
inline void put(bytes& message, std::size_t at, Value value) {
    ASSERT_LE(at + sizeof value, message.size());
    std::memcpy(message.data() + at, &value, sizeof value);
}

inline void set_size(bytes& message, std::size_t size) {
    message.resize(size);
    put(message, header_size_at, static_cast<std::uint32_t>(size));
}

/// A test's name for a case's name, which is words.
inline std::string test_name(std::string_view words) {
    std::string text(words);
    std::ranges::replace(text, ' ', '_');
    return text;
}

} // namespace dlhandoff
