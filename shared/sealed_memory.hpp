#pragma once

#include "shared/file_descriptor.hpp"

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <optional>

namespace dlhandoff {

/// Makes an anonymous file (memfd_create(2)) for a program to fill and pass on; it is empty and not sealed.
/// `name` is what /proc shows. Invalid, with errno set, if the process or the system has no room for it.
[[nodiscard]] file_descriptor make_memory_file(const char* name) noexcept;

/// Shared memory: an anonymous file whose size is sealed, mapped whole. Nobody who has its descriptor can
/// resize it; that could kill a process that has it mapped with SIGBUS. Pages that nobody has touched cost
/// nothing and read as zero.
class sealed_memory {
  public:
    /// New memory. Throws std::system_error, boost::interprocess::interprocess_exception.
    [[nodiscard]] static sealed_memory create(const char* name, std::size_t size);

    /// Maps what somebody else made; the descriptor is closed. nullopt if its size is not sealed, or it can't
    /// be mapped. Never throws on anything that the other side can do.
    [[nodiscard]] static std::optional<sealed_memory> attach(file_descriptor memory) noexcept;

    [[nodiscard]] void* address() const noexcept { return region_.get_address(); }
    [[nodiscard]] std::size_t size() const noexcept { return region_.get_size(); }
    /// The descriptor to pass on: only in the process that made the memory, and its children; -1 elsewhere.
    [[nodiscard]] int descriptor() const noexcept { return memory_.get(); }
    /// Closes the descriptor. The mapping stays, here and in children.
    void close_descriptor() noexcept { memory_.reset(); }

  private:
    sealed_memory(file_descriptor memory, boost::interprocess::mapped_region region) noexcept
        : memory_(std::move(memory)), region_(std::move(region)) {}

    file_descriptor memory_;
    boost::interprocess::mapped_region region_;
};

} // namespace dlhandoff
