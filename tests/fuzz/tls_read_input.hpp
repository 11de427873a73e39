#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace dlhandoff::fuzz {

/// One step of an input of fuzz_tls_read: bytes for the socket, or the content of a record. In an input it is
/// `how` (modulo 3), type, padding, zeros (two bytes, the low one first), cut (the same), the length of the
/// content, the content.
struct tls_read_step {
    enum kind : std::uint8_t { raw, sealed, sealed_then_answered };
    kind how = raw;
    std::uint8_t type = 0;    ///< of the record's content
    std::uint8_t padding = 0; ///< TLS 1.3: zeros after the type
    std::uint16_t zeros = 0;  ///< that follow the content, so that a short input makes a long record
    std::uint16_t cut = 0;    ///< bytes that are sent and read first
    std::span<const std::uint8_t> content{}; ///< 255 bytes at most
};
inline constexpr std::size_t tls_read_step_size = 8;

/// Takes the next step off the input; nothing at its end.
inline std::optional<tls_read_step> next_step(std::span<const std::uint8_t>& input) {
    if (input.size() < tls_read_step_size)
        return std::nullopt;
    const auto number = [&](std::size_t at) {
        return static_cast<std::uint16_t>(input[at] | input[at + 1] << 8);
    };
    tls_read_step step{
        static_cast<tls_read_step::kind>(input[0] % 3), input[1], input[2], number(3), number(5), {}};
    const std::size_t size = std::min<std::size_t>(input[7], input.size() - tls_read_step_size);
    step.content = input.subspan(tls_read_step_size, size);
    input = input.subspan(tls_read_step_size + size);
    return step;
}

} // namespace dlhandoff::fuzz
