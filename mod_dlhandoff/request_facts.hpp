#pragma once

#include "shared/offer.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// What the transfer log is to say of this request. The text lives as long as the request's pool.
[[nodiscard]] request_facts facts_of(request_rec* r) noexcept;

} // namespace dlhandoff::httpd
