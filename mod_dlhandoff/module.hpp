#pragma once

#include <httpd.h>

#include <http_config.h>
#include <http_log.h>

// Names this module in what it logs, and finds its configuration (ap_get_module_config).
// httpd must find the record in the shared object.
#pragma GCC visibility push(default)
APLOG_USE_MODULE(dlhandoff);
#pragma GCC visibility pop
