#include "dlmanagerd/admin/admin_report.hpp"

#include <algorithm>
#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <unistd.h>
#include <variant>

namespace dlhandoff::service {
namespace {

std::string_view name_of(manager_state state) noexcept {
    switch (state) {
    case manager_state::starting:
        return "starting";
    case manager_state::live:
        return "live";
    case manager_state::draining:
        return "draining";
    case manager_state::vacant:
        break;
    }
    return "vacant";
}

std::string text_in(int descriptor) {
    std::string text(admin::longest_request, '\0');
    const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
}

} // namespace

admin::manager_report report_of(const manager_status& status, std::string name) {
    constexpr auto relaxed = std::memory_order_relaxed;
    const manager_counters& counters = status.counters;
    admin::manager_report line;
    line.name = std::move(name);
    line.pid = status.pid.load(relaxed);
    line.state = name_of(status.state.load(relaxed));
    line.counts.active = counters.active.load(relaxed);
    line.counts.queued = counters.queued.load(relaxed);
    line.counts.idle = counters.idle.load(relaxed);
    line.counts.bytes_sent = counters.bytes.load(relaxed);
    line.counts.descriptors_used = status.descriptors_used.load(relaxed);
    line.counts.descriptors_limit = status.descriptors_limit.load(relaxed);
    line.counts.tcp_memory = counters.tcp_memory.load(relaxed);
    line.counts.offers = counters.offers.load(relaxed);
    line.counts.claims = counters.claims.load(relaxed);
    line.counts.late = counters.late.load(relaxed);
    for (std::size_t reason = 1; reason < refusal_count; ++reason)
        if (const auto count = counters.refusals[reason].load(relaxed); count != 0)
            line.counts.refusals.emplace_back(dlhandoff::name(static_cast<refusal>(reason)), count);
    return line;
}

admin_report::admin_report(file_descriptor into, const subject& about)
    : into_(std::move(into)), about_(about) {
    auto asked = admin::decode_request(text_in(into_.get()));
    if (auto* const request = std::get_if<admin::request>(&asked)) {
        request_ = std::move(*request);
        understood_ = ::ftruncate(into_.get(), 0) == 0;
    }
    if (understood_ && request_.what == admin::command::list)
        about_.engine.begin_listing();
}

bool admin_report::go_on() {
    if (!understood_)
        return true;
    switch (request_.what) {
    case admin::command::status: {
        admin::manager_report line = report_of(about_.status, std::string(about_.name));
        line.counts.bytes_per_second = about_.bytes_per_second;
        line.counts.tcp_memory_budget = about_.engine.memory().budget();
        append(encode(line));
        break;
    }
    case admin::command::list:
        if (list_some())
            return false;
        break;
    case admin::command::cancel:
        if (about_.engine.cancel(request_.id))
            append(encode(admin::cancelled{request_.id}));
        break;
    case admin::command::drain: // the supervisor's
        break;
    }
    seal();
    return true;
}

/// Whether some are left.
bool admin_report::list_some() {
    const bool more = about_.engine.list(slice, [this](const auto& one) { take(one); });
    if (!more) {
        std::ranges::sort(fastest_, std::greater<>());
        for (const auto& [rate, line] : fastest_)
            lines_ += line;
        fastest_.clear();
    }
    append(std::exchange(lines_, {}));
    return more;
}

void admin_report::take(const transfer_listing& one) {
    if (!selects(request_, one))
        return;
    if (request_.limit == 0) {
        lines_ += admin::encode(one);
        return;
    }
    const auto slowest_first = std::greater<>();
    if (fastest_.size() == request_.limit) {
        if (one.bytes_per_second <= fastest_.front().first)
            return;
        std::ranges::pop_heap(fastest_, slowest_first);
        fastest_.pop_back();
    }
    fastest_.emplace_back(one.bytes_per_second, admin::encode(one));
    std::ranges::push_heap(fastest_, slowest_first);
}

/// What can't be written is missing, and then the memfd stays unsealed: see seal().
void admin_report::append(std::string_view text) noexcept {
    while (understood_ && !text.empty()) {
        const ssize_t size = ::pwrite(into_.get(), text.data(), text.size(), static_cast<off_t>(written_));
        understood_ = size > 0;
        if (!understood_)
            return;
        written_ += static_cast<std::size_t>(size);
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

void admin_report::seal() noexcept {
    if (understood_)
        (void)::fcntl(into_.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
}

} // namespace dlhandoff::service
