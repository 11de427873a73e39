#include "mod_dlhandoff/inherited.hpp"

namespace dlhandoff::httpd {

inherited& from_parent() noexcept {
    static constinit inherited made;
    return made;
}

} // namespace dlhandoff::httpd
