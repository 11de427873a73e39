#include "shared/release.hpp"

namespace dlhandoff {

const char* release() noexcept {
    return DLHANDOFF_VERSION;
}

} // namespace dlhandoff
