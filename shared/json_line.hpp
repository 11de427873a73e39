#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace dlhandoff {

/// A line of JSON with its newline. Bytes that are not UTF-8 become U+FFFD. What is not printable ASCII is
/// escaped, since the line may reach a terminal (\u009b begins a control sequence).
[[nodiscard]] inline std::string to_line(const nlohmann::ordered_json& object) {
    return object.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

/// A JSON string, quoted. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] inline std::string to_text(std::string_view text) {
    return nlohmann::ordered_json(std::string(text))
        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace dlhandoff
