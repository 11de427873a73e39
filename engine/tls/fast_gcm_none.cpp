// Where libIPSec_MB was not there when this was built.
#include "engine/tls/fast_gcm.hpp"

namespace dlhandoff::engine {

struct fast_gcm::schedule {};
bool fast_gcm::usable() noexcept {
    return false;
}
fast_gcm::fast_gcm() = default;
fast_gcm::~fast_gcm() = default;
void fast_gcm::set_key(std::span<const std::uint8_t>) noexcept {}
void fast_gcm::seal(const std::array<std::uint8_t, 12>&, std::span<const std::uint8_t>,
                    std::span<std::uint8_t>, std::uint8_t*) noexcept {}
void fast_gcm::wipe() noexcept {}

} // namespace dlhandoff::engine
