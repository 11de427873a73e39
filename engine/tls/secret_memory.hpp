#pragma once

#include <memory_resource>

namespace dlhandoff::engine {

/// Memory for objects that hold keys. It is never in core dumps (MADV_DONTDUMP, madvise(2)), even if the
/// process is made to dump, nor in child processes (MADV_WIPEONFORK). Small objects share pages. The objects
/// must wipe themselves. Any thread. Allocating throws std::bad_alloc.
[[nodiscard]] std::pmr::memory_resource& secret_memory();

} // namespace dlhandoff::engine
