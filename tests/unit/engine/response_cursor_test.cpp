#include "engine/response_cursor.hpp"

#include <array>
#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

constexpr std::array<plan_piece, 3> pieces{{{plan_piece::source::memory, 0, 0, 10},
                                            {plan_piece::source::file, 0, 1'000, 100},
                                            {plan_piece::source::memory, 0, 10, 5}}};

void expect_at(const engine::response_cursor& cursor, std::uint64_t position, std::size_t piece,
               std::uint64_t within) {
    EXPECT_EQ(cursor.position(), position);
    EXPECT_EQ(cursor.piece(), piece);
    EXPECT_EQ(cursor.within(), within);
}

TEST(response_cursor, goes_through_the_pieces) {
    engine::response_cursor cursor;
    expect_at(cursor, 0, 0, 0);
    cursor.advance(pieces, 0);
    expect_at(cursor, 0, 0, 0);
    cursor.advance(pieces, 9);
    expect_at(cursor, 9, 0, 9);
    cursor.advance(pieces, 1);
    expect_at(cursor, 10, 1, 0);
    cursor.advance(pieces, 102); // beyond a whole one
    expect_at(cursor, 112, 2, 2);
    cursor.advance(pieces, 3);
    expect_at(cursor, 115, 3, 0);
}

TEST(response_cursor, is_a_value) {
    engine::response_cursor cursor;
    cursor.advance(pieces, 50);
    engine::response_cursor ahead = cursor;
    ahead.advance(pieces, 65);
    expect_at(cursor, 50, 1, 40);
    expect_at(ahead, 115, 3, 0);
}

} // namespace
} // namespace dlhandoff::test
