#include "engine/limits/keyed_hash.hpp"

#include <gtest/gtest.h>
#include <string>

namespace dlhandoff::test {
namespace {

// From the authors' reference implementation (vectors.h): key 00 01 .. 0f, text 00 01 .. of each length.
TEST(keyed_hash, is_siphash_2_4) {
    const engine::hash_key key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    std::string text;
    EXPECT_EQ(engine::keyed_hash(key, text), 0x726fdb47dd0e0e31U);
    for (char byte = 0; byte < 15; ++byte)
        text.push_back(byte);
    EXPECT_EQ(engine::keyed_hash(key, text), 0xa129ca6149be45e5U);
}

TEST(keyed_hash, keys_are_random_and_matter) {
    const auto one = engine::random_hash_key();
    const auto other = engine::random_hash_key();
    EXPECT_NE(one, other);
    EXPECT_NE(engine::keyed_hash(one, "192.0.2.1"), engine::keyed_hash(other, "192.0.2.1"));
}

} // namespace
} // namespace dlhandoff::test
