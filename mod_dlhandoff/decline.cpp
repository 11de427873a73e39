#include "mod_dlhandoff/decline.hpp"

namespace dlhandoff::httpd {

std::string_view name(decline_reason reason) noexcept {
    switch (reason) {
    case decline_reason::env:
        return "env";
    case decline_reason::method:
        return "method";
    case decline_reason::subrequest:
        return "subrequest";
    case decline_reason::http2:
        return "http2";
    case decline_reason::http09:
        return "http09";
    case decline_reason::head:
        return "head";
    case decline_reason::request_body:
        return "request-body";
    case decline_reason::pipelined:
        return "pipelined";
    case decline_reason::buffered:
        return "buffered";
    case decline_reason::client_gone:
        return "client-gone";
    case decline_reason::tls:
        return "tls";
    case decline_reason::tls_state:
        return "tls-state";
    case decline_reason::tls_suite:
        return "tls-suite";
    case decline_reason::filter:
        return "filter";
    case decline_reason::bucket:
        return "bucket";
    case decline_reason::memory:
        return "memory";
    case decline_reason::no_file:
        return "no-file";
    case decline_reason::min_size:
        return "min-size";
    case decline_reason::too_many_files:
        return "too-many-files";
    case decline_reason::file_changed:
        return "file-changed";
    case decline_reason::not_tcp:
        return "not-tcp";
    case decline_reason::descriptors:
        return "descriptors";
    case decline_reason::no_memory:
        return "no-memory";
    case decline_reason::manager_down:
        return "manager-down";
    case decline_reason::manager_user:
        return "manager-user";
    case decline_reason::manager_unresponsive:
        return "manager-unresponsive";
    case decline_reason::manager_timeout:
        return "manager-timeout";
    case decline_reason::wire_version:
        return "wire-version";
    case decline_reason::board:
        return "board";
    }
    return "unknown";
}

std::string_view name(const decline& why) noexcept {
    const auto* own = std::get_if<decline_reason>(&why);
    if (own != nullptr)
        return name(*own);
    const auto* refused = std::get_if<refusal>(&why);
    return refused != nullptr ? dlhandoff::name(*refused) : std::string_view("unknown");
}

bool is_managers_fault(const decline& why) noexcept {
    if (const auto* own = std::get_if<decline_reason>(&why)) {
        switch (*own) {
        case decline_reason::descriptors:
        case decline_reason::no_memory:
        case decline_reason::manager_down:
        case decline_reason::manager_user:
        case decline_reason::manager_unresponsive:
        case decline_reason::manager_timeout:
        case decline_reason::wire_version:
        case decline_reason::board:
            return true;
        default:
            return false;
        }
    }
    const auto* refused = std::get_if<refusal>(&why);
    if (refused == nullptr)
        return false;
    switch (*refused) {
    case refusal::not_tcp:
    case refusal::not_connected:
    case refusal::not_regular_file:
    case refusal::not_readable:
    case refusal::file_changed:
    case refusal::oversized:
        return false;
    default:
        return true;
    }
}

} // namespace dlhandoff::httpd
