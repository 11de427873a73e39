#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dlhandoff::engine {

/// The secret of a keyed_hash.
using hash_key = std::array<std::uint64_t, 2>;

/// A new one, from getrandom(2). Throws std::system_error.
[[nodiscard]] hash_key random_hash_key();

/// SipHash-2-4 (Aumasson and Bernstein, 2012): without the key, nobody can find texts whose hashes collide.
/// For tables and sketches whose keys are chosen by clients.
[[nodiscard]] std::uint64_t keyed_hash(const hash_key& key, std::string_view text) noexcept;

/// Hash for a table whose keys are clients. Deliberately not noexcept: libstdc++ then keeps the hash in the
/// node.
struct client_hash {
    using is_transparent = void;
    hash_key key;
    [[nodiscard]] std::size_t operator()(std::string_view text) const { return keyed_hash(key, text); }
};

} // namespace dlhandoff::engine
