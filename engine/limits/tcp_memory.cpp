#include "engine/limits/tcp_memory.hpp"

#include <algorithm>
#include <bit>
#include <fstream>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

/// Half of the pressure value that Linux sets by itself, a sixteenth of the memory (tcp_init_mem in the
/// kernel).
std::uint64_t half_of_default_pressure() noexcept {
    struct sysinfo system {};
    ::sysinfo(&system); // fails for a bad pointer only
    return std::uint64_t{system.totalram} * system.mem_unit / 32;
}

/// tcp(7): net.ipv4.tcp_mem is low, pressure, high, in pages. Where /proc/sys isn't there, or is another
/// network's, as under the systemd unit, the default.
std::uint64_t half_of_pressure() {
    std::ifstream file("/proc/sys/net/ipv4/tcp_mem");
    std::uint64_t low = 0;
    std::uint64_t pressure = 0;
    if (!(file >> low >> pressure) || pressure == 0)
        return half_of_default_pressure();
    return pressure / 2 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

void tcp_memory::set_budget(std::uint64_t budget) {
    whole_budget_ = budget != 0 ? budget : half_of_pressure();
    share_with(engines_);
}

/// Half of the budget is for these, the other half for what they have under way and for the fast ones.
int tcp_memory::low_water() const noexcept {
    const std::uint64_t share = budget_ / 2 / std::max<std::size_t>(sockets_, 1);
    constexpr std::uint64_t ample = 16 * first_low_water;
    if (share >= common_low_water)
        return share >= ample ? first_low_water : common_low_water;
    return std::max(least_low_water, static_cast<int>(std::bit_floor(share)));
}

int tcp_memory::raised(int low_water) const noexcept {
    if (is_short())
        return std::max(this->low_water(), low_water / 2);
    return low_water < most_low_water && used_ + static_cast<std::uint64_t>(low_water) <= budget_
               ? 2 * low_water
               : low_water;
}

} // namespace dlhandoff::engine
