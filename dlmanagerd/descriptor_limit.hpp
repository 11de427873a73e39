#pragma once

#include <cstdint>

namespace dlhandoff::service {

/// Sets this process's soft RLIMIT_NOFILE to `wanted`, or to the hard limit if that is 0 or lower, and
/// returns what it is then. A download takes a descriptor, and one more for each distinct file.
std::uint64_t set_descriptor_limit(std::uint32_t wanted);

} // namespace dlhandoff::service
