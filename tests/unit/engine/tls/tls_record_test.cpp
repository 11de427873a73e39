// Records sealed in both ways, with libcrypto and with fast_gcm where that can be used.
#include "engine/tls/tls_record.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace dlhandoff::engine {
namespace {

struct suite_number {
    std::uint16_t version;
    std::uint16_t number;
};

class tls_record : public ::testing::TestWithParam<suite_number> {
  protected:
    const tls_suite& suite() const { return *find_tls_suite(GetParam().version, GetParam().number); }

    traffic_key random_key() {
        std::vector<std::uint8_t> secret(64);
        std::ranges::generate(secret, [&] { return static_cast<std::uint8_t>(random_()); });
        return {suite(), secret, random_()};
    }

    std::vector<std::uint8_t> random_record(std::size_t plaintext) {
        std::vector<std::uint8_t> record(plaintext + record_overhead(suite()));
        std::ranges::generate(record, [&] { return static_cast<std::uint8_t>(random_()); });
        return record;
    }

    std::mt19937_64 random_{GetParam().number};
};
INSTANTIATE_TEST_SUITE_P(all, tls_record,
                         ::testing::Values(suite_number{tls13, 0x1301}, suite_number{tls13, 0x1302},
                                           suite_number{tls13, 0x1303}, suite_number{tls12, 0xc02f},
                                           suite_number{tls12, 0xc030}, suite_number{tls12, 0xcca8}),
                         [](const auto& one) { return "suite_" + std::to_string(one.param.number); });

TEST_P(tls_record, is_the_same_however_it_is_sealed_and_opens) {
    const traffic_key keys[] = {random_key(), random_key()};
    record_cipher fast;
    record_cipher plain(false);
    record_cipher opening;
    std::vector<std::size_t> sizes{1, 15, 16, 17, 255, 256, 257, 511, 512, 1023, 1024, 4096, 16383, 16384};
    for (int i = 0; i < 200; ++i)
        sizes.push_back(1 + random_() % max_record_plaintext);
    for (const std::size_t size : sizes) {
        const traffic_key& key = keys[random_() % 2];
        const std::uint64_t sequence = random_();
        std::vector<std::uint8_t> one = random_record(size);
        std::vector<std::uint8_t> other = one;
        const std::vector<std::uint8_t> before = one;
        fast.seal(key, sequence, content_type::application_data, one);
        plain.seal(key, sequence, content_type::application_data, other);
        ASSERT_TRUE(one == other) << size;
        const auto opened = opening.open(key, sequence, one);
        ASSERT_TRUE(opened) << size;
        ASSERT_EQ(opened->plaintext.size(), size);
        ASSERT_TRUE(
            std::ranges::equal(opened->plaintext, std::span(before).subspan(record_prefix(suite()), size)));
        other[record_header_size + random_() % (other.size() - record_header_size)] ^= 1;
        EXPECT_FALSE(opening.open(key, sequence, other)) << size;
    }
}

TEST_P(tls_record, is_the_same_after_the_keys_were_forgotten) {
    const traffic_key key = random_key();
    record_cipher cipher;
    std::vector<std::uint8_t> one = random_record(1000);
    std::vector<std::uint8_t> other = one;
    cipher.seal(key, 7, content_type::application_data, one);
    cipher.wipe();
    cipher.seal(key, 7, content_type::application_data, other);
    EXPECT_TRUE(one == other);
}

} // namespace
} // namespace dlhandoff::engine
