#include "mod_dlhandoff/reading_terms.hpp"

#include "mod_dlhandoff/directives.hpp"

#include <http_core.h>

namespace dlhandoff::httpd {

reading_terms reading_terms_of(const request_rec* r) noexcept {
    // APR_SENDFILE_ENABLED of an open file says On, and can't tell Off from nothing (AP_SENDFILE_ENABLED).
    const auto* core = static_cast<const core_dir_config*>(ap_get_core_module_config(r->per_dir_config));
    return {directory_config_of(r).check.value_or(file_check::size),
            core->enable_sendfile != ENABLE_SENDFILE_OFF};
}

} // namespace dlhandoff::httpd
