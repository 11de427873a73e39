#include "shared/wire.hpp"

#include <cstring>

namespace dlhandoff {
namespace {

constexpr std::uint32_t wire_magic = 0x4f484c44; // "DLHO"

struct answer_body {
    std::uint64_t sequence;
    std::uint16_t reason; ///< 0: claimed
    std::array<std::uint16_t, 3> zero;
};
static_assert(sizeof(message_header) + sizeof(answer_body) == answer_size);

struct return_body {
    std::uint32_t requests;
    std::uint32_t zero;
};

template <class Body, std::size_t Size>
void put(std::array<std::byte, Size>& message, message_type type, const Body& body) noexcept {
    static_assert(sizeof(message_header) + sizeof(Body) == Size);
    const message_header header = make_header(type, Size);
    std::memcpy(message.data(), &header, sizeof header);
    std::memcpy(message.data() + sizeof header, &body, sizeof body);
}

template <class Body>
std::optional<Body> get(std::span<const std::byte> message, message_type type) noexcept {
    if (check_header(message, type) || message.size() != sizeof(message_header) + sizeof(Body))
        return std::nullopt;
    Body body;
    std::memcpy(&body, message.data() + sizeof(message_header), sizeof body);
    return body;
}

} // namespace

message_header make_header(message_type type, std::size_t size) noexcept {
    return {wire_magic, wire_version, type, static_cast<std::uint32_t>(size), 0};
}

std::optional<std::uint16_t> version_of(std::span<const std::byte> message) noexcept {
    message_header header;
    if (message.size() < sizeof header)
        return std::nullopt;
    std::memcpy(&header, message.data(), sizeof header);
    return header.magic == wire_magic ? std::optional(header.version) : std::nullopt;
}

std::optional<refusal> check_header(std::span<const std::byte> message, message_type type) noexcept {
    message_header header;
    if (message.size() < sizeof header)
        return refusal::truncated;
    std::memcpy(&header, message.data(), sizeof header);
    if (header.magic != wire_magic)
        return refusal::malformed;
    if (header.version != wire_version)
        return refusal::wire_version;
    if (header.size > message.size())
        return refusal::truncated;
    if (header.type != type || header.size < message.size() || header.zero != 0)
        return refusal::malformed;
    return std::nullopt;
}

std::array<std::byte, hello_size> encode(const hello& value) noexcept {
    std::array<std::byte, hello_size> message;
    put(message, message_type::hello, value);
    return message;
}

std::optional<hello> decode_hello(std::span<const std::byte> message) noexcept {
    auto value = get<hello>(message, message_type::hello);
    if (!value || value->zero != 0)
        return std::nullopt;
    value->manager.back() = '\0';
    return value;
}

std::array<std::byte, answer_size> encode(const answer& value) noexcept {
    std::array<std::byte, answer_size> message;
    put(message, message_type::answer,
        answer_body{
            value.sequence, value.claimed ? std::uint16_t{0} : static_cast<std::uint16_t>(value.reason), {}});
    return message;
}

std::optional<answer> decode_answer(std::span<const std::byte> message) noexcept {
    const auto body = get<answer_body>(message, message_type::answer);
    if (!body)
        return std::nullopt;
    return answer{body->sequence, body->reason == 0, refusal_from_number(body->reason)};
}

std::array<std::byte, return_message_size> encode(const return_message& value) noexcept {
    std::array<std::byte, return_message_size> message;
    put(message, message_type::returned, return_body{value.requests, 0});
    return message;
}

std::optional<return_message> decode_return(std::span<const std::byte> message) noexcept {
    const auto body = get<return_body>(message, message_type::returned);
    if (!body || body->zero != 0)
        return std::nullopt;
    return return_message{body->requests};
}

} // namespace dlhandoff
