#include "shared/refusal.hpp"

namespace dlhandoff {

std::string_view name(refusal reason) noexcept {
    switch (reason) {
    case refusal::malformed:
        return "malformed";
    case refusal::truncated:
        return "truncated";
    case refusal::oversized:
        return "oversized";
    case refusal::wire_version:
        return "wire-version";
    case refusal::ticket:
        return "ticket";
    case refusal::descriptors_lost:
        return "descriptors-lost";
    case refusal::missing_descriptor:
        return "missing-descriptor";
    case refusal::extra_descriptor:
        return "extra-descriptor";
    case refusal::not_tcp:
        return "not-tcp";
    case refusal::not_connected:
        return "not-connected";
    case refusal::not_regular_file:
        return "not-regular-file";
    case refusal::not_readable:
        return "not-readable";
    case refusal::file_changed:
        return "file-changed";
    case refusal::full:
        return "full";
    case refusal::stopping:
        return "stopping";
    case refusal::tls:
        return "tls";
    case refusal::return_socket:
        return "return-socket";
    }
    return "malformed";
}

refusal refusal_from_number(std::uint16_t number) noexcept {
    return number >= 1 && number < refusal_count ? static_cast<refusal>(number) : refusal::malformed;
}

} // namespace dlhandoff
