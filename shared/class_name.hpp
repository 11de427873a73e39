#pragma once

#include <cstddef>
#include <string_view>

namespace dlhandoff {

/// The name of a class of downloads: DLHandoffClass in httpd, [class.NAME] in the service's configuration.
inline constexpr std::size_t longest_class_name = 64;
/// How messages describe what is allowed.
inline constexpr const char* allowed_class_names = "a name of up to 64 letters, digits, '_' and '-'";

[[nodiscard]] constexpr bool is_class_name(std::string_view name) noexcept {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return !name.empty() && name.size() <= longest_class_name &&
           name.find_first_not_of(allowed) == std::string_view::npos;
}

} // namespace dlhandoff
