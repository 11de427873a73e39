#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <utility>
#include <vector>

namespace dlhandoff::service {

/// Collects what is wrong with a configuration file, in the order of its lines.
class configuration_problems {
  public:
    explicit configuration_problems(std::string file) : file_(std::move(file)) {}
    void add(toml::source_index line, const std::string& what);
    /// Throws configuration_error with one line for each problem.
    void throw_if_any();

  private:
    std::string file_;
    std::vector<std::pair<toml::source_index, std::string>> found_;
};

/// Reads one table of a configuration file key by key. A key that is absent leaves its value alone; one that
/// is wrong is reported to the problems, with what is allowed, and leaves its value alone too.
class configuration_table {
  public:
    /// `name`: of the table, empty for the top level. Both references must outlive this.
    configuration_table(const toml::table& table, std::string name, configuration_problems& problems)
        : table_(table), name_(std::move(name)), problems_(problems) {}

    [[nodiscard]] std::optional<std::string> text(std::string_view key, std::string_view allowed);
    [[nodiscard]] const toml::array* list(std::string_view key, std::string_view allowed);
    [[nodiscard]] const toml::table* section(std::string_view key);

    /// An integer from `least` to `most`, or 0, which stands for what `zero` says.
    void number(std::string_view key, std::uint32_t& into, std::int64_t least, std::int64_t most,
                std::string_view zero);

    template <class Integer>
    void integer(std::string_view key, Integer& into, std::int64_t least, std::int64_t most) {
        if (const auto value = integer_within(key, least, most))
            into = static_cast<Integer>(*value);
    }

    /// Bytes, or bytes a second: an integer, or a string with K, M or G (of 1024 each), such as "500K"; from
    /// `least` on, or 0, which stands for what `zero` says.
    void size(std::string_view key, std::uint64_t& into, std::uint64_t least, std::string_view zero);
    /// An integer from 1 to `most`.
    void count(std::string_view key, std::uint32_t& into, std::uint32_t most);
    /// The same, or the word "auto", which is 0.
    void count_or_auto(std::string_view key, std::uint32_t& into, std::uint32_t most);

    /// A string such as "250ms", "30s", "5min" or "2h".
    void duration(std::string_view key, std::chrono::milliseconds& into, std::chrono::milliseconds least,
                  std::chrono::milliseconds most);

    /// One of some words.
    template <class Value>
    void choice(std::string_view key, Value& into,
                const std::vector<std::pair<std::string_view, Value>>& choices) {
        std::string allowed;
        for (const auto& [word, value] : choices)
            allowed.append(allowed.empty() ? "\"" : ", \"").append(word).append("\"");
        const auto word = text(key, allowed);
        if (!word)
            return;
        for (const auto& [known, value] : choices) {
            if (known == *word) {
                into = value;
                return;
            }
        }
        wrong(key, '"' + *word + "\" is not known", allowed);
    }

    [[nodiscard]] bool has(std::string_view key) const { return table_.get(key) != nullptr; }

    /// Reports every key that none of the calls above has asked for. Call last.
    void reject_others();

    /// Reports the value of `key`.
    void wrong(std::string_view key, const std::string& what, std::string_view allowed = {});
    /// Reports `part`, which is in the value of `key`.
    void wrong(std::string_view key, const toml::node& part, const std::string& what,
               std::string_view allowed);
    void wrong_type(std::string_view key, const toml::node& found, std::string_view expected,
                    std::string_view allowed);

  private:
    void read_count(std::string_view key, const toml::node& found, std::uint32_t& into, std::uint32_t most,
                    const std::string& allowed);
    [[nodiscard]] const toml::node* find(std::string_view key);
    [[nodiscard]] std::optional<std::int64_t> integer_within(std::string_view key, std::int64_t least,
                                                             std::int64_t most);
    [[nodiscard]] std::string full_name(std::string_view key) const;

    const toml::table& table_;
    std::string name_;
    configuration_problems& problems_;
    std::vector<std::string_view> known_; ///< the keys asked for, in order
};

} // namespace dlhandoff::service
