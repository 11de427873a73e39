#include "shared/sealed_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;

/// Boost.Interprocess maps anything that has a mapping handle; this one borrows a descriptor that we keep.
struct borrowed_memory {
    int number;
    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
        return {number, false};
    }
};

boost::interprocess::mapped_region map(int number, std::size_t size) {
    return {borrowed_memory{number}, boost::interprocess::read_write, 0, size};
}

} // namespace

file_descriptor make_memory_file(const char* name) noexcept {
    return file_descriptor(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

sealed_memory sealed_memory::create(const char* name, std::size_t size) {
    file_descriptor memory = make_memory_file(name);
    if (!memory)
        throw_errno("memfd_create");
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) < 0)
        throw_errno("ftruncate(memfd)");
    if (::fcntl(memory.get(), F_ADD_SEALS, size_seals) < 0)
        throw_errno("fcntl(memfd, F_ADD_SEALS)");
    auto region = map(memory.get(), size);
    return {std::move(memory), std::move(region)};
}

std::optional<sealed_memory> sealed_memory::attach(file_descriptor memory) noexcept try {
    struct stat status {};
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    if (seals < 0 || (seals & size_seals) != size_seals || ::fstat(memory.get(), &status) < 0 ||
        status.st_size == 0)
        return std::nullopt;
    return sealed_memory({}, map(memory.get(), static_cast<std::size_t>(status.st_size)));
} catch (...) {
    return std::nullopt;
}

} // namespace dlhandoff
