#include "engine/limits/keyed_hash.hpp"

#include "shared/file_descriptor.hpp"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <sys/random.h>

namespace dlhandoff::engine {
namespace {

struct sip_state {
    std::uint64_t v0, v1, v2, v3;

    void round() noexcept {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }

    void take(std::uint64_t word) noexcept {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

/// Up to 8 bytes, the first the lowest.
std::uint64_t word_of(std::string_view bytes) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = bytes.size(); i > 0; --i)
        word = word << 8 | static_cast<unsigned char>(bytes[i - 1]);
    return word;
}

} // namespace

hash_key random_hash_key() {
    hash_key key;
    for (;;) { // whole, or not at all: getrandom(2) of up to 256 bytes is not cut short by signals
        if (::getrandom(key.data(), sizeof key, 0) == static_cast<ssize_t>(sizeof key))
            return key;
        if (errno != EINTR)
            throw_errno("getrandom");
    }
}

std::uint64_t keyed_hash(const hash_key& key, std::string_view text) noexcept {
    sip_state state{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                    key[1] ^ 0x7465646279746573};
    const std::uint64_t length = std::uint64_t{text.size()} << 56;
    for (; text.size() >= 8; text.remove_prefix(8))
        state.take(word_of(text.substr(0, 8)));
    state.take(length | word_of(text));
    state.v2 ^= 0xff;
    for (int i = 0; i < 4; ++i)
        state.round();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

} // namespace dlhandoff::engine
