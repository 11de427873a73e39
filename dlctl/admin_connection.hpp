#pragma once

#include "shared/admin_protocol.hpp"

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dlhandoff::dlctl {

/// What went wrong with the service, where, and what to do; a harmless text (display_text.hpp).
class admin_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Why a socket can't have this path; empty if it can.
[[nodiscard]] std::string why_not_socket(const std::string& path);

/// Asks the service at the admin socket `path`, and calls `take` for each line of the answer as it comes, the
/// last one included, with its newline. Throws admin_error: no connection, an answer that ends early or can't
/// be understood, nothing for `patience`, or the service's own error (after its line was taken).
void ask_service(const std::string& path, const admin::request& request,
                 const std::function<void(std::string_view line, const admin::answer_line& meaning)>& take,
                 std::chrono::milliseconds patience = std::chrono::seconds(10));

} // namespace dlhandoff::dlctl
