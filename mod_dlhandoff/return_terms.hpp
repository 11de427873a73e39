#pragma once

#include "shared/offer.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// How this request's connection may go on after its response: back to httpd if the response promised
/// keep-alive, its client is the peer of its socket and DLHandoffKeepAlive allows it; else it ends. Valid as
/// long as the process.
[[nodiscard]] return_terms return_terms_of(const request_rec* r) noexcept;

} // namespace dlhandoff::httpd
