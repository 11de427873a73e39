// Feeds arbitrary bytes to every decoder of the wire protocol. Whatever a decoder takes must be safe to look
// at (AddressSanitizer watches), and must be the same again when it is put together from what the accessors
// say.

#include "shared/offer.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <variant>

namespace {

using namespace dlhandoff;

// Not assert(): it must hold in every build type.
void require(bool holds) {
    if (!holds)
        std::abort();
}

bool within(const void* at, std::size_t size, std::span<const std::byte> whole) {
    const auto* begin = static_cast<const std::byte*>(at);
    return begin >= whole.data() && size <= whole.size() &&
           static_cast<std::size_t>(begin - whole.data()) <= whole.size() - size;
}

std::uint64_t sum_of(std::span<const std::byte> bytes) {
    std::uint64_t sum = 0;
    for (const std::byte one : bytes)
        sum = sum * 31 + std::to_integer<std::uint64_t>(one);
    return sum;
}

volatile std::uint64_t read_bytes; // so that no read is optimised away

void check_offer(std::span<const std::byte> input) {
    auto decoded = offer::decode(input);
    if (const auto* reason = std::get_if<refusal>(&decoded)) {
        require(!name(*reason).empty());
        return;
    }
    const offer& taken = std::get<offer>(decoded);
    const auto message = taken.message();
    require(std::ranges::equal(message, input));
    require(message.size() <= max_offer_size && taken.files().size() <= max_plan_files);
    require(taken.pieces().size() <= max_plan_pieces && taken.memory().size() <= max_plan_memory);

    require(within(taken.files().data(), taken.files().size_bytes(), message));
    require(within(taken.pieces().data(), taken.pieces().size_bytes(), message));
    require(within(taken.memory().data(), taken.memory().size(), message));
    const request_facts facts = taken.facts();
    std::uint64_t sum = sum_of(taken.memory());
    for (const std::string_view text :
         {facts.client, facts.client_key, facts.user, facts.vhost, facts.method, facts.uri, facts.range,
          facts.tag, facts.transfer_class, taken.returning().path}) {
        require(within(text.data(), text.size(), message));
        sum += sum_of(std::as_bytes(std::span(text)));
    }
    read_bytes = sum;
    require(taken.speed().rate != 0 || taken.speed().after == 0);
    require(facts.status >= 200 && facts.status <= 599);

    std::uint64_t total = 0;
    std::uint64_t from_files = 0;
    require(!taken.pieces().empty());
    for (const plan_piece& piece : taken.pieces()) {
        const bool file = piece.from == plan_piece::source::file;
        require(file || piece.from == plan_piece::source::memory);
        require(!file || piece.file < taken.files().size());
        const std::uint64_t size = file ? taken.files()[piece.file].size : taken.memory().size();
        require(piece.length > 0 && piece.offset <= size && piece.length <= size - piece.offset);
        total += piece.length;
        from_files += file ? piece.length : 0;
        require(total <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    }
    require(taken.response_bytes() == total && taken.file_bytes() == from_files);

    auto made = offer::make(facts, taken.files(), taken.pieces(), taken.memory(), taken.tls(),
                            taken.returning(), taken.speed(), taken.reading());
    require(std::holds_alternative<offer>(made));
    std::get<offer>(made).set_ticket(taken.claim_ticket());
    require(std::ranges::equal(std::get<offer>(made).message(), message));
}

void check_hello(std::span<const std::byte> input) {
    const auto decoded = decode_hello(input);
    if (!decoded)
        return;
    require(std::memchr(decoded->manager.data(), '\0', decoded->manager.size()) != nullptr);
    const auto again = encode(*decoded);
    // The name's last byte is always made its end.
    constexpr std::size_t name_end =
        sizeof(message_header) + offsetof(hello, manager) + sizeof(hello::manager);
    require(std::ranges::equal(std::span(again).first(name_end - 1), input.first(name_end - 1)));
    require(std::ranges::equal(std::span(again).subspan(name_end), input.subspan(name_end)));
}

void check_answer(std::span<const std::byte> input) {
    const auto decoded = decode_answer(input);
    if (!decoded)
        return;
    const auto again = decode_answer(encode(*decoded));
    require(again && again->sequence == decoded->sequence && again->claimed == decoded->claimed);
    require(decoded->claimed || (again->reason == decoded->reason && !name(decoded->reason).empty()));
}

void check_return(std::span<const std::byte> input) {
    if (const auto decoded = decode_return(input))
        require(std::ranges::equal(encode(*decoded), input));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = std::as_bytes(std::span(data, size));
    check_offer(input);
    check_hello(input);
    check_answer(input);
    check_return(input);
    return 0;
}
