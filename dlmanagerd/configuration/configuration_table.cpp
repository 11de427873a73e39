#include "dlmanagerd/configuration/configuration_table.hpp"

#include "dlmanagerd/configuration/configuration.hpp"
#include "shared/byte_size.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace dlhandoff::service {
namespace {

using std::chrono::milliseconds;

struct unit {
    std::string_view name;
    std::int64_t milliseconds;
};
constexpr std::array<unit, 4> units{{{"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"h", 3'600'000}}};

std::optional<milliseconds> parse_duration(std::string_view text) noexcept {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || count < 0)
        return std::nullopt;
    const auto name = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const unit& known : units) {
        std::int64_t product = 0;
        if (known.name == name && !__builtin_mul_overflow(count, known.milliseconds, &product))
            return milliseconds(product);
    }
    return std::nullopt;
}

/// In the largest unit that shows it exactly.
std::string show(milliseconds duration) {
    for (auto known = units.rbegin(); known != units.rend(); ++known) {
        if (duration.count() != 0 && duration.count() % known->milliseconds == 0)
            return std::to_string(duration.count() / known->milliseconds) + std::string(known->name);
    }
    return std::to_string(duration.count()) + "ms";
}

std::string_view with_article(toml::node_type type) noexcept {
    switch (type) {
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "a list";
    case toml::node_type::string:
        return "a string";
    case toml::node_type::integer:
        return "an integer";
    case toml::node_type::floating_point:
        return "a fraction";
    case toml::node_type::boolean:
        return "true or false";
    default:
        return "a date or time";
    }
}

} // namespace

void configuration_problems::add(toml::source_index line, const std::string& what) {
    found_.emplace_back(line, file_ + ':' + std::to_string(line) + ": " + what);
}

void configuration_problems::throw_if_any() {
    if (found_.empty())
        return;
    std::ranges::stable_sort(found_, {}, &std::pair<toml::source_index, std::string>::first);
    std::string all;
    for (const auto& [line, what] : found_)
        all.append(all.empty() ? "" : "\n").append(what);
    throw configuration_error(all);
}

const toml::node* configuration_table::find(std::string_view key) {
    known_.push_back(key);
    return table_.get(key);
}

std::string configuration_table::full_name(std::string_view key) const {
    return name_.empty() ? std::string(key) : std::string(name_).append(".").append(key);
}

void configuration_table::wrong(std::string_view key, const toml::node& part, const std::string& what,
                                std::string_view allowed) {
    std::string line = full_name(key) + ": " + what;
    if (!allowed.empty())
        line.append("; allowed: ").append(allowed);
    problems_.add(part.source().begin.line, line);
}

void configuration_table::wrong(std::string_view key, const std::string& what, std::string_view allowed) {
    wrong(key, *table_.get(key), what, allowed);
}

void configuration_table::wrong_type(std::string_view key, const toml::node& found, std::string_view expected,
                                     std::string_view allowed) {
    wrong(key, found,
          "expected " + std::string(expected) + ", found " + std::string(with_article(found.type())),
          allowed);
}

std::optional<std::string> configuration_table::text(std::string_view key, std::string_view allowed) {
    const toml::node* found = find(key);
    if (found == nullptr)
        return std::nullopt;
    auto value = found->value_exact<std::string>();
    if (!value)
        wrong_type(key, *found, "a string", allowed);
    return value;
}

const toml::array* configuration_table::list(std::string_view key, std::string_view allowed) {
    const toml::node* found = find(key);
    if (found != nullptr && !found->is_array())
        wrong_type(key, *found, "a list", allowed);
    return found == nullptr ? nullptr : found->as_array();
}

const toml::table* configuration_table::section(std::string_view key) {
    const toml::node* found = find(key);
    if (found != nullptr && !found->is_table())
        wrong_type(key, *found, "a table", "[" + full_name(key) + "] and its keys below it");
    return found == nullptr ? nullptr : found->as_table();
}

void configuration_table::number(std::string_view key, std::uint32_t& into, std::int64_t least,
                                 std::int64_t most, std::string_view zero) {
    const toml::node* found = find(key);
    if (found == nullptr)
        return;
    const std::string allowed =
        std::to_string(least) + " to " + std::to_string(most) + ", or 0 " + std::string(zero);
    const auto value = found->value_exact<std::int64_t>();
    if (!value)
        wrong_type(key, *found, "an integer", allowed);
    else if (*value != 0 && (*value < least || *value > most))
        wrong(key, std::to_string(*value) + " is out of range", allowed);
    else
        into = static_cast<std::uint32_t>(*value);
}

std::optional<std::int64_t> configuration_table::integer_within(std::string_view key, std::int64_t least,
                                                                std::int64_t most) {
    const toml::node* found = find(key);
    if (found == nullptr)
        return std::nullopt;
    const std::string allowed = std::to_string(least) + " to " + std::to_string(most);
    const auto value = found->value_exact<std::int64_t>();
    if (!value)
        wrong_type(key, *found, "an integer", allowed);
    else if (*value < least || *value > most)
        wrong(key, std::to_string(*value) + " is out of range", allowed);
    else
        return value;
    return std::nullopt;
}

void configuration_table::size(std::string_view key, std::uint64_t& into, std::uint64_t least,
                               std::string_view zero) {
    const toml::node* found = find(key);
    if (found == nullptr)
        return;
    const std::string allowed = R"(bytes, or K, M or G of them, such as 65536 or "500K", from )" +
                                std::to_string(least) + ", or 0 " + std::string(zero);
    std::string text;
    if (const auto number = found->value_exact<std::int64_t>())
        text = std::to_string(*number);
    else if (const auto string = found->value_exact<std::string>())
        text = *string;
    else
        return wrong_type(key, *found, "an integer or a string", allowed);
    const auto bytes = parse_byte_size(text);
    if (!bytes)
        wrong(key, '"' + text + "\" is no number of bytes", allowed);
    else if (*bytes != 0 && *bytes < least)
        wrong(key, text + " is out of range", allowed);
    else
        into = *bytes;
}

void configuration_table::read_count(std::string_view key, const toml::node& found, std::uint32_t& into,
                                     std::uint32_t most, const std::string& allowed) {
    const auto value = found.value_exact<std::int64_t>();
    if (!value)
        wrong_type(key, found, "an integer", allowed);
    else if (*value < 1 || *value > most)
        wrong(key, std::to_string(*value) + " is out of range", allowed);
    else
        into = static_cast<std::uint32_t>(*value);
}

void configuration_table::count(std::string_view key, std::uint32_t& into, std::uint32_t most) {
    if (const toml::node* found = find(key))
        read_count(key, *found, into, most, "1 to " + std::to_string(most));
}

void configuration_table::count_or_auto(std::string_view key, std::uint32_t& into, std::uint32_t most) {
    const toml::node* found = find(key);
    if (found == nullptr)
        return;
    const std::string allowed = "1 to " + std::to_string(most) + ", or \"auto\"";
    if (const auto word = found->value_exact<std::string>(); word && *word == "auto")
        into = 0;
    else if (word)
        wrong(key, '"' + *word + "\" is not known", allowed);
    else
        read_count(key, *found, into, most, allowed);
}

void configuration_table::duration(std::string_view key, milliseconds& into, milliseconds least,
                                   milliseconds most) {
    const std::string allowed = R"(a number with ms, s, min or h, such as "250ms" or "30s", from )" +
                                show(least) + " to " + show(most);
    const auto value = text(key, allowed);
    if (!value)
        return;
    const auto duration = parse_duration(*value);
    if (!duration)
        wrong(key, '"' + *value + "\" is not a duration", allowed);
    else if (*duration < least || *duration > most)
        wrong(key, '"' + *value + "\" is out of range", allowed);
    else
        into = *duration;
}

void configuration_table::reject_others() {
    std::string allowed;
    for (const std::string_view key : known_)
        allowed.append(allowed.empty() ? "" : ", ").append(key);
    for (const auto& [key, value] : table_) {
        if (std::ranges::find(known_, key.str()) == known_.end())
            problems_.add(key.source().begin.line,
                          full_name(key.str()) + ": unknown key; allowed here: " + allowed);
    }
}

} // namespace dlhandoff::service
