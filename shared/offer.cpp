#include "shared/offer.hpp"

#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

namespace dlhandoff {

/// The message: this, then the TLS session if there is one, files, pieces, texts, memory. Everything that
/// needs alignment to 8 comes first, so that the message can be read in place.
struct offer::fixed {
    static constexpr std::size_t text_count = 10;

    message_header header;
    std::uint64_t ticket_sequence;
    std::uint32_t ticket_slot;
    std::uint16_t status;
    std::uint16_t file_count;
    std::uint16_t piece_count;
    std::uint16_t has_tls; ///< 1: a tls_session follows
    std::uint32_t memory_size;
    std::uint32_t keep_alive_ms;
    std::uint32_t requests;
    std::array<std::uint16_t, text_count> text_sizes; ///< in the order of request_facts, then the return path
    file_check check;
    std::uint16_t use_sendfile; ///< 0 or 1
    pace speed;

    [[nodiscard]] std::size_t tls_at() const noexcept { return sizeof(fixed); }
    [[nodiscard]] std::size_t files_at() const noexcept { return tls_at() + has_tls * sizeof(tls_session); }
    [[nodiscard]] std::size_t pieces_at() const noexcept {
        return files_at() + file_count * sizeof(file_identity);
    }
    [[nodiscard]] std::size_t texts_at() const noexcept {
        return pieces_at() + piece_count * sizeof(plan_piece);
    }
    [[nodiscard]] std::size_t memory_at() const noexcept {
        std::size_t at = texts_at();
        for (const std::size_t size : text_sizes)
            at += size;
        return at;
    }
    [[nodiscard]] std::size_t message_size() const noexcept { return memory_at() + memory_size; }
};

namespace {

static_assert(alignof(std::max_align_t) >= alignof(std::uint64_t));
static_assert(sizeof(file_identity) == 32 && sizeof(plan_piece) == 24);

std::array<std::string_view, 10> texts_of(const request_facts& facts, const return_terms& back) noexcept {
    return {facts.client, facts.client_key, facts.user, facts.vhost,          facts.method,
            facts.uri,    facts.range,      facts.tag,  facts.transfer_class, back.path};
}

/// A path and a time come together or not at all, and never with TLS.
bool terms_are_sound(const return_terms& back, bool tls) noexcept {
    if (back.path.empty())
        return back.keep_alive_ms == 0;
    return back.keep_alive_ms != 0 && !tls && back.path.size() <= unix_address::longest_path &&
           back.path.starts_with('/') && back.path.find('\0') == std::string_view::npos;
}

/// Without a rate there is no unbounded first part.
constexpr bool is_sound(const pace& speed) noexcept {
    return speed.rate != 0 || speed.after == 0;
}

constexpr bool is_known(file_check check) noexcept {
    return check == file_check::size || check == file_check::mtime;
}

/// The status of a final response (RFC 9110, 15).
constexpr bool is_final(std::uint16_t status) noexcept {
    return status >= 200 && status <= 599;
}

/// Every piece lies within its source, none is empty, and the whole can be counted in 63 bits (off_t).
bool plan_is_sound(std::span<const file_identity> files, std::span<const plan_piece> pieces,
                   std::size_t memory) noexcept {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    std::uint64_t total = 0;
    for (const plan_piece& piece : pieces) {
        std::uint64_t size = memory;
        if (piece.from == plan_piece::source::file) {
            if (piece.file >= files.size())
                return false;
            size = files[piece.file].size;
        } else if (piece.from != plan_piece::source::memory || piece.file != 0) {
            return false;
        }
        if (piece.length == 0 || piece.offset > size || piece.length > size - piece.offset || size > most ||
            piece.length > most - total)
            return false;
        total += piece.length;
    }
    return !pieces.empty();
}

void append(std::byte*& to, const void* from, std::size_t size) noexcept {
    if (size != 0)
        std::memcpy(to, from, size);
    to += size;
}

} // namespace

std::variant<offer, refusal> offer::make(const request_facts& facts, std::span<const file_identity> files,
                                         std::span<const plan_piece> pieces,
                                         std::span<const std::byte> memory, const tls_session* tls,
                                         const return_terms& back, const pace& speed,
                                         const reading_terms& reading) {
    if (files.size() > max_plan_files || pieces.size() > max_plan_pieces || memory.size() > max_plan_memory)
        return refusal::oversized;
    if (!is_final(facts.status) || !terms_are_sound(back, tls != nullptr) || !is_sound(speed) ||
        !is_known(reading.check))
        return refusal::malformed;
    fixed head{};
    head.status = facts.status;
    head.file_count = static_cast<std::uint16_t>(files.size());
    head.piece_count = static_cast<std::uint16_t>(pieces.size());
    head.memory_size = static_cast<std::uint32_t>(memory.size());
    head.has_tls = tls != nullptr ? 1 : 0;
    head.keep_alive_ms = back.keep_alive_ms;
    head.requests = back.requests;
    head.check = reading.check;
    head.use_sendfile = reading.use_sendfile ? 1 : 0;
    head.speed = speed;
    const auto texts = texts_of(facts, back);
    static_assert(std::tuple_size_v<decltype(texts)> == fixed::text_count);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].size() > std::numeric_limits<std::uint16_t>::max())
            return refusal::oversized;
        head.text_sizes[i] = static_cast<std::uint16_t>(texts[i].size());
    }
    const std::size_t size = head.message_size();
    if (size > max_offer_size)
        return refusal::oversized;
    if (!plan_is_sound(files, pieces, memory.size()))
        return refusal::malformed;
    head.header = make_header(message_type::offer, size);

    auto bytes = std::make_unique_for_overwrite<std::byte[]>(size);
    std::byte* at = bytes.get();
    append(at, &head, sizeof head);
    append(at, tls, head.has_tls * sizeof(tls_session));
    append(at, files.data(), files.size_bytes());
    append(at, pieces.data(), pieces.size_bytes());
    for (const std::string_view text : texts)
        append(at, text.data(), text.size());
    append(at, memory.data(), memory.size());
    return offer(std::move(bytes), size);
}

std::variant<offer, refusal> offer::decode(std::span<const std::byte> message) {
    if (const auto wrong = check_header(message, message_type::offer))
        return *wrong;
    if (message.size() > max_offer_size)
        return refusal::oversized;
    if (message.size() < sizeof(fixed))
        return refusal::truncated;
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(message.size());
    std::memcpy(bytes.get(), message.data(), message.size());
    offer decoded(std::move(bytes), message.size());
    const fixed& head = decoded.head();
    if (head.file_count > max_plan_files || head.piece_count > max_plan_pieces ||
        head.memory_size > max_plan_memory)
        return refusal::oversized;
    if (head.has_tls > 1 || !is_known(head.check) || head.use_sendfile > 1 ||
        head.message_size() != message.size() || !is_final(head.status))
        return refusal::malformed;
    if (head.has_tls != 0 && decoded.tls() == nullptr)
        return refusal::malformed; // or the response would go out in the clear
    if (!terms_are_sound(decoded.returning(), head.has_tls != 0) || !is_sound(head.speed))
        return refusal::malformed;
    if (!plan_is_sound(decoded.files(), decoded.pieces(), head.memory_size))
        return refusal::malformed;
    return decoded;
}

offer& offer::operator=(offer&& other) noexcept {
    forget_secrets();
    bytes_ = std::move(other.bytes_);
    size_ = other.size_;
    return *this;
}

const offer::fixed& offer::head() const noexcept {
    return *std::launder(reinterpret_cast<const fixed*>(bytes_.get()));
}

std::span<const file_identity> offer::files() const noexcept {
    return {reinterpret_cast<const file_identity*>(bytes_.get() + head().files_at()), head().file_count};
}

std::span<const plan_piece> offer::pieces() const noexcept {
    return {reinterpret_cast<const plan_piece*>(bytes_.get() + head().pieces_at()), head().piece_count};
}

std::span<const std::byte> offer::memory() const noexcept {
    return {bytes_.get() + head().memory_at(), head().memory_size};
}

request_facts offer::facts() const noexcept {
    const fixed& fields = head();
    std::array<std::string_view, fixed::text_count> texts;
    const char* at = reinterpret_cast<const char*>(bytes_.get() + fields.texts_at());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        texts[i] = {at, fields.text_sizes[i]};
        at += fields.text_sizes[i];
    }
    return {texts[0], texts[1], texts[2], texts[3], texts[4],
            texts[5], texts[6], texts[7], texts[8], fields.status};
}

return_terms offer::returning() const noexcept {
    const fixed& fields = head();
    const std::size_t size = fields.text_sizes.back();
    const char* const end = reinterpret_cast<const char*>(bytes_.get() + fields.memory_at());
    return {{end - size, size}, fields.keep_alive_ms, fields.requests};
}

pace offer::speed() const noexcept {
    return head().speed;
}

reading_terms offer::reading() const noexcept {
    return {head().check, head().use_sendfile != 0};
}

const tls_session* offer::tls() const noexcept {
    const auto* session = reinterpret_cast<const tls_session*>(bytes_.get() + head().tls_at());
    return head().has_tls != 0 && session->version != 0 ? session : nullptr;
}

void offer::forget_secrets() noexcept {
    if (!bytes_ || head().has_tls == 0)
        return;
    // A message that is being decoded may claim to have keys and be too short for them.
    const std::size_t at = head().tls_at();
    ::explicit_bzero(bytes_.get() + at, std::min(size_ - at, sizeof(tls_session)));
}

std::uint64_t offer::response_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const plan_piece& piece : pieces())
        total += piece.length;
    return total;
}

std::uint64_t offer::file_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const plan_piece& piece : pieces())
        total += piece.from == plan_piece::source::file ? piece.length : 0;
    return total;
}

ticket offer::claim_ticket() const noexcept {
    return {head().ticket_slot, head().ticket_sequence};
}

void offer::set_ticket(const ticket& value) noexcept {
    fixed& fields = *std::launder(reinterpret_cast<fixed*>(bytes_.get()));
    fields.ticket_slot = value.slot;
    fields.ticket_sequence = value.sequence;
}

} // namespace dlhandoff
