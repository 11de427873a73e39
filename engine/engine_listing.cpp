// What is told of transfers under way, and ending one of them by its id.

#include "engine/engine.hpp"
#include "engine/transfer.hpp"

#include <charconv>
#include <chrono>
#include <system_error>

namespace dlhandoff::engine {

bool engine::list(std::size_t most, const std::function<void(const transfer_listing&)>& visit) {
    for (; most != 0 && next_listed_ != nullptr; --most) {
        const transfer& one = *next_listed_;
        next_listed_ = one.next;
        transfer_listing line = one.listing();
        line.id = id_of(one);
        line.manager = options_.manager;
        visit(line);
    }
    return next_listed_ != nullptr;
}

bool engine::cancel(std::string_view id) {
    if (!id.starts_with(id_prefix_))
        return false;
    const std::string_view digits = id.substr(id_prefix_.size());
    std::uint64_t number = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{})
        return false;
    for (transfer* one = all_; one != nullptr; one = one->next)
        if (one->number() == number) {
            if (id_of(*one) != id)
                return false;
            finish(*one, outcome::cancelled);
            return true;
        }
    return false;
}

std::string engine::id_of(const transfer& one) const {
    return id_prefix_ + std::to_string(one.number());
}

std::string_view transfer::state_name() const noexcept {
    switch (state_) {
    case state::queued:
        return "queued";
    case state::sending:
        return "sending";
    case state::reading:
        return "reading";
    case state::delivering:
        return "delivering";
    case state::lingering:
        return "lingering";
    }
    return "";
}

transfer_listing transfer::listing() const {
    const transfer_record now = record(outcome::complete);
    transfer_listing line;
    line.state = state_name();
    line.client = now.facts.client;
    line.client_key = now.facts.client_key;
    line.transfer_class = now.transfer_class;
    line.vhost = now.facts.vhost;
    line.uri = now.facts.uri;
    line.expected = now.expected;
    line.sent = now.sent;
    line.delivered = now.delivered;
    line.age = now.duration;
    line.queued = now.queued;
    line.tls = now.tls;
    if (const auto sending = now.duration - now.queued; sending.count() > 0)
        line.bytes_per_second = static_cast<std::uint64_t>(static_cast<double>(now.delivered) /
                                                           std::chrono::duration<double>(sending).count());
    return line;
}

} // namespace dlhandoff::engine
