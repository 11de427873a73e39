#pragma once

#include <httpd.h>

/// The output filter DLHANDOFF: sees a response when httpd has composed it, head, ranges and chunks included,
/// but has not sent any of it. Holds the head back until the body is there, then hands the whole over to the
/// manager, or passes all on unchanged and goes.
namespace dlhandoff::httpd {

/// While hooks are registered.
void register_handoff_filter() noexcept;

/// Hook insert_filter: adds the filter if the directives want it for this request.
void insert_handoff_filter(request_rec* r) noexcept;

/// Hook log_transaction, before any log: the status of a response that was answered by 503 (DLHandoffWhenFull
/// busy), and of a handed-off one, that its connection goes on (%X) though httpd has let go of it.
int log_as_the_client_sees_it(request_rec* r) noexcept;

} // namespace dlhandoff::httpd
