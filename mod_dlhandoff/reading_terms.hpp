#pragma once

#include "shared/offer.hpp"

#include <httpd.h>

namespace dlhandoff::httpd {

/// How the files of this request's response are to be read, by what is set for its directory: by
/// DLHandoffFileCheck, and by httpd's EnableSendfile. An explicit Off of the latter is heeded. Without
/// any, httpd itself does without sendfile(2), out of caution for file systems that it can't know; a manager
/// uses it then.
[[nodiscard]] reading_terms reading_terms_of(const request_rec* r) noexcept;

} // namespace dlhandoff::httpd
