#include "dlctl/rendering.hpp"

#include "dlctl/display_text.hpp"
#include "dlctl/table.hpp"
#include "dlctl/units.hpp"

#include <algorithm>
#include <optional>

namespace dlhandoff::dlctl {
namespace {

using side = table::column::side;

constexpr std::size_t bar_columns = 12;

std::string used_of(const std::string& used, std::uint64_t most, const std::string& most_text) {
    return most == 0 ? used : used + " of " + most_text;
}

std::uint64_t sum_of_refusals(const admin::figures& counts) {
    std::uint64_t sum = 0;
    for (const auto& [reason, count] : counts.refusals)
        sum += count;
    return sum;
}

std::vector<std::string> status_row(const std::string& name, const std::string& pid, const std::string& state,
                                    const admin::figures& counts) {
    return {
        name,
        pid,
        state,
        std::to_string(counts.active),
        std::to_string(counts.queued),
        std::to_string(counts.idle),
        rate_text(counts.bytes_per_second),
        size_text(counts.bytes_sent),
        used_of(std::to_string(counts.descriptors_used), counts.descriptors_limit,
                std::to_string(counts.descriptors_limit)),
        used_of(size_text(counts.tcp_memory), counts.tcp_memory_budget, size_text(counts.tcp_memory_budget)),
        std::to_string(counts.offers),
        std::to_string(counts.claims),
        std::to_string(counts.late),
        std::to_string(sum_of_refusals(counts))};
}

std::string cut_line(const std::string& text, std::size_t width) {
    return (width > 0 ? cut(text, width) : text) + '\n';
}

/// "Refused:" and the reasons, over as many lines as it takes.
std::string refusals(const admin::figures& counts, std::size_t width) {
    std::string lines;
    std::string line = "Refused:";
    for (std::size_t at = 0; at < counts.refusals.size(); ++at) {
        const auto& [reason, count] = counts.refusals[at];
        const bool last = at + 1 == counts.refusals.size();
        const std::string next = ' ' + harmless(reason) + ' ' + std::to_string(count) + (last ? "" : ",");
        if (width > 0 && columns_of(line) + columns_of(next) > width) {
            lines += cut_line(line, width);
            line = " ";
        }
        line += next;
    }
    return lines + cut_line(line, width);
}

double part(std::uint64_t done, std::uint64_t of) {
    return of == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(of));
}

std::optional<std::uint64_t> seconds_left(const transfer_listing& one) {
    if (one.delivered >= one.expected)
        return 0;
    if (one.bytes_per_second == 0)
        return std::nullopt;
    return (one.expected - one.delivered + one.bytes_per_second - 1) / one.bytes_per_second;
}

/// `id`: how important that is, against the others.
table transfer_table(const list_answer& transfers, int id) {
    table lines({{"ID", side::left, id, 0},
                 {"CLIENT", side::left, 5, 15},
                 {"CLASS", side::left, 1, 7},
                 {"STATE", side::left, 4, 0},
                 {"DONE", side::right, 9, 0},
                 {"", side::left, 6, 0},
                 {"SIZE", side::right, 3, 0},
                 {"SPEED", side::right, 9, 0},
                 {"LEFT", side::right, 8, 0},
                 {"URI", side::left, 7, 10, table::column::kept::end}});
    for (const auto& one : transfers) {
        const auto percent = static_cast<int>(100 * part(one.delivered, one.expected));
        lines.add({harmless(one.id), harmless(one.client), harmless(one.transfer_class), harmless(one.state),
                   std::to_string(percent) + " %", progress_bar(one.delivered, one.expected, bar_columns),
                   size_text(one.expected), rate_text(one.bytes_per_second), time_text(seconds_left(one)),
                   harmless(one.vhost) + harmless(one.uri)});
    }
    return lines;
}

} // namespace

std::string progress_bar(std::uint64_t done, std::uint64_t of, std::size_t columns) {
    const std::size_t inside = columns - 2;
    const auto filled = static_cast<std::size_t>(static_cast<double>(inside) * part(done, of));
    std::string bar(inside, ' ');
    std::fill_n(bar.begin(), filled, '=');
    if (filled < inside && done > 0)
        bar[filled] = '>';
    return '[' + bar + ']';
}

std::string render_status(const status_answer& status, std::size_t width) {
    table lines({{"MANAGER", side::left, 9, 0},
                 {"PID", side::right, 2, 0},
                 {"STATE", side::left, 8, 0},
                 {"SENDING", side::right, 9, 0},
                 {"QUEUED", side::right, 7, 0},
                 {"IDLE", side::right, 4, 0},
                 {"SPEED", side::right, 9, 0},
                 {"SENT", side::right, 5, 0},
                 {"DESCRIPTORS", side::right, 6, 0},
                 {"TCP MEMORY", side::right, 3, 0},
                 {"OFFERS", side::right, 1, 0},
                 {"CLAIMED", side::right, 2, 0},
                 {"LATE", side::right, 1, 0},
                 {"REFUSED", side::right, 6, 0}});
    for (const auto& one : status.managers)
        lines.add(status_row(harmless(one.name), std::to_string(one.pid), harmless(one.state), one.counts));
    if (status.managers.size() != 1)
        lines.add(status_row("total", "", "", status.all.counts));
    std::string text = lines.text(width);
    if (!status.all.counts.refusals.empty())
        text += '\n' + refusals(status.all.counts, width);
    if (!status.all.version.empty())
        text += '\n' + cut_line("dlmanagerd " + harmless(status.all.version) + ", wire " +
                                    std::to_string(status.all.wire),
                                width);
    return text;
}

std::string render_list(const list_answer& transfers, std::size_t width) {
    if (transfers.empty())
        return cut_line("No transfers.", width);
    return transfer_table(transfers, 9).text(width); // whole: cancel takes it
}

std::string render_top(const status_answer& status, list_answer transfers, std::size_t width,
                       std::size_t height) {
    const admin::figures& all = status.all.counts;
    std::string text =
        cut_line(rate_text(all.bytes_per_second) + "  sending " + std::to_string(all.active) + "  queued " +
                     std::to_string(all.queued) + "  idle " + std::to_string(all.idle) + "  managers " +
                     std::to_string(status.all.managers),
                 width);
    std::stable_sort(transfers.begin(), transfers.end(), [](const auto& left, const auto& right) {
        return left.bytes_per_second > right.bytes_per_second;
    });
    // The sums, an empty line, the titles.
    const std::size_t room = height == 0 ? transfers.size() : height - std::min<std::size_t>(height, 3);
    if (transfers.size() > room)
        transfers.resize(room);
    if (height != 0 && height < 3)
        return text;
    return text + '\n' + transfer_table(transfers, 2).text(width);
}

} // namespace dlhandoff::dlctl
