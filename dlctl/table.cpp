#include "dlctl/table.hpp"

#include "dlctl/display_text.hpp"

#include <algorithm>

namespace dlhandoff::dlctl {
namespace {

constexpr std::size_t gap = 2;

/// With the gaps; a width of 0 is a column that is left out.
std::size_t total(const std::vector<std::size_t>& widths) {
    std::size_t sum = 0;
    for (const std::size_t width : widths)
        sum += width > 0 ? width + gap : 0;
    return sum > 0 ? sum - gap : 0;
}

} // namespace

/// The width of each column.
std::vector<std::size_t> table::fitted(std::size_t width) const {
    std::vector<std::size_t> widths;
    int most = 0;
    for (std::size_t at = 0; at < columns_.size(); ++at) {
        std::size_t widest = columns_of(columns_[at].title);
        for (const auto& row : rows_)
            widest = std::max(widest, columns_of(row[at]));
        widths.push_back(widest);
        most = std::max(most, columns_[at].importance);
    }
    if (width == 0)
        return widths;
    const std::vector<std::size_t> natural = widths;
    for (;;) {
        // The widest of those that can be cut, as far as needed.
        for (std::size_t sum = total(widths); sum > width; sum = total(widths)) {
            std::size_t* widest = nullptr;
            for (std::size_t at = 0; at < widths.size(); ++at)
                if (columns_[at].least > 0 && widths[at] > columns_[at].least &&
                    (widest == nullptr || widths[at] > *widest))
                    widest = &widths[at];
            if (widest == nullptr)
                break;
            --*widest;
        }
        if (total(widths) <= width)
            return widths;
        std::size_t goes = widths.size();
        for (std::size_t at = 0; at < widths.size(); ++at)
            if (widths[at] > 0 && columns_[at].importance < most &&
                (goes == widths.size() || columns_[at].importance < columns_[goes].importance))
                goes = at;
        if (goes == widths.size())
            return widths;
        // Without it, the others have more room again.
        for (std::size_t at = 0; at < widths.size(); ++at)
            widths[at] = widths[at] > 0 && at != goes ? natural[at] : 0;
    }
}

std::string table::text(std::size_t width) const {
    const std::vector<std::size_t> widths = fitted(width);
    std::string lines;
    const auto add_line = [&](const auto& cell_of) {
        std::string line;
        for (std::size_t at = 0; at < widths.size(); ++at) {
            if (widths[at] == 0)
                continue;
            const std::string cell = columns_[at].when_cut == column::kept::end
                                         ? cut_beginning(cell_of(at), widths[at])
                                         : cut(cell_of(at), widths[at]);
            const std::string padding(widths[at] - columns_of(cell), ' ');
            if (!line.empty())
                line.append(gap, ' ');
            line += columns_[at].aligned == column::side::right ? padding + cell : cell + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        lines += (width > 0 ? cut(line, width) : line) + '\n';
    };
    add_line([&](std::size_t at) { return columns_[at].title; });
    for (const auto& row : rows_)
        add_line([&](std::size_t at) { return row[at]; });
    return lines;
}

} // namespace dlhandoff::dlctl
