#include "engine/tls/tls_control.hpp"

#include <algorithm>
#include <utility>

namespace dlhandoff::engine {
namespace {

// A warning, and which one (RFC 8446, 6; RFC 5246, 7.2.2).
constexpr std::uint8_t close_notify_alert[]{1, 0};
constexpr std::uint8_t no_renegotiation_alert[]{1, 100};

} // namespace

void tls_control::choose(bool is_tls13, std::uint64_t sequence, std::uint64_t margin) noexcept {
    if (current_ != record::none || closed_)
        return;
    const bool key_is_worn = is_tls13 && sequence + std::min(margin, record_limit_ / 2) >= record_limit_;
    if (update_wanted_ || key_is_worn) {
        current_ = record::key_update;
        update_wanted_ = false;
    } else if (refusal_wanted_) {
        current_ = record::no_renegotiation;
        refusal_wanted_ = false;
    } else if (close_wanted_) {
        current_ = record::close_notify;
        closed_ = true;
    }
}

tls_control::record tls_control::sent() noexcept {
    return std::exchange(current_, record::none);
}

std::span<const std::uint8_t> tls_control::message() const noexcept {
    switch (current_) {
    case record::key_update:
        return key_update_message;
    case record::no_renegotiation:
        return no_renegotiation_alert;
    case record::close_notify:
        return close_notify_alert;
    case record::none:
        break;
    }
    return {};
}

} // namespace dlhandoff::engine
