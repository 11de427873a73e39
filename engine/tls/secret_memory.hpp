#pragma once

#include <memory_resource>

namespace dlhandoff::engine {

/// Memory for objects that hold keys: not in core dumps, whoever lets the process dump (MADV_DONTDUMP,
/// madvise(2)), and not in its children (MADV_WIPEONFORK). Small objects share pages. Wiping is the objects'
/// own. Any thread. Allocating throws std::bad_alloc.
[[nodiscard]] std::pmr::memory_resource& secret_memory();

} // namespace dlhandoff::engine
