#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace dlhandoff::dlctl {

/// Text in columns, fitted to a width: first what may be cut is cut, then whole columns go, the least
/// important first; what is never left out is cut at last.
class table {
  public:
    struct column {
        std::string title;
        enum class side { left, right } aligned = side::left;
        int importance = 0;    ///< a column with less goes first; those with the most never
        std::size_t least = 0; ///< columns that it may be cut to; 0: not at all
        enum class kept { beginning, end } when_cut = kept::beginning;
    };
    explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}

    /// One text (harmless) for each column.
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

    /// Lines with newlines, the titles first; none wider than `width`. 0: as wide as it is.
    [[nodiscard]] std::string text(std::size_t width) const;

  private:
    [[nodiscard]] std::vector<std::size_t> fitted(std::size_t width) const;
    std::vector<column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace dlhandoff::dlctl
