#include "engine/response.hpp"

#include "shared/busy_response.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

namespace dlhandoff::engine {
namespace {

/// The head of the response that an offer holds: it is the first thing in its memory.
std::string_view head_of(const offer& offered) noexcept {
    const plan_piece& first = offered.pieces().front();
    if (first.from != plan_piece::source::memory)
        return {};
    const auto bytes = offered.memory().subspan(first.offset);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

void response::turn_away(std::chrono::milliseconds retry_after) {
    const std::string text = busy_response(head_of(offer_), std::chrono::system_clock::now(), retry_after);
    request_facts facts = offer_.facts();
    facts.status = 503;
    const plan_piece whole{plan_piece::source::memory, 0, 0, text.size()};
    auto made =
        offer::make(facts, {}, {&whole, 1}, std::as_bytes(std::span(text)), nullptr, offer_.returning());
    // It is shorter than what it replaces, and so within all bounds.
    offer_ = std::get<offer>(std::move(made));
    files_.clear();
    length_ = offer_.response_bytes();
}

response::parts response::next(std::uint64_t most, std::uint64_t at_once, clock::time_point now) {
    parts found;
    const auto pieces = offer_.pieces();
    response_cursor at = cursor_;
    while (found.bytes_ < most && at.position() < length_ && found.count_ < found.parts_.size()) {
        const plan_piece& piece = pieces[at.piece()];
        channel::part& one = found.parts_[found.count_];
        one = {};
        one.length = std::min(most - found.bytes_, piece.length - at.within());
        one.more = at.piece() + 1 != pieces.size();
        const std::uint64_t offset = piece.offset + at.within();
        if (piece.from == plan_piece::source::memory) {
            one.memory = offer_.memory().data() + offset;
        } else {
            const file_reference& file = files_[piece.file];
            if (!is_warm(at, std::min(one.length, at_once), now)) {
                found.cold_ = {file, offset, warm_until_ - offset};
                break;
            }
            one.file = &*file;
            one.offset = offset;
            one.reading = offer_.reading();
            if (at.piece() == warm_piece_)
                one.length = std::min(one.length, warm_until_ - offset);
        }
        ++found.count_;
        found.bytes_ += one.length;
        at.advance(pieces, one.length);
    }
    return found;
}

/// Whether the `needed` bytes of the file from there on, of one piece, are in memory; if not, they are asked
/// for now, with the whole stretch that begins there.
bool response::is_warm(const response_cursor& at, std::uint64_t needed, clock::time_point now) {
    const plan_piece& piece = offer_.pieces()[at.piece()];
    const std::uint64_t offset = piece.offset + at.within();
    // Pieces before the one asked about last were in memory to their ends.
    if (at.piece() < warm_piece_ || (at.piece() == warm_piece_ && offset + needed <= warm_until_))
        return true;
    const file_reference& file = files_[piece.file];
    const std::uint64_t length = std::min(stretch, piece.length - at.within());
    warm_piece_ = static_cast<std::uint32_t>(at.piece());
    warm_until_ = offset + length;
    return file->residency().cached(file->descriptor(), offset, length, now);
}

void response::parts::truncate(std::uint64_t bytes) noexcept {
    while (bytes_ > bytes) {
        channel::part& last = parts_[count_ - 1];
        const std::uint64_t cut = std::min(last.length, bytes_ - bytes);
        last.length -= cut;
        bytes_ -= cut;
        if (last.length == 0)
            --count_;
    }
}

} // namespace dlhandoff::engine
