#include "engine/files/file_failure.hpp"

#include "engine/files/file_table.hpp"

#include <array>
#include <cstring>
#include <linux/limits.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

std::string path_of(int descriptor) {
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
    return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// A name may have any byte but '/' and '\0': in a log, none of them begins a line.
std::string printable(std::string text) {
    for (char& one : text)
        if (static_cast<unsigned char>(one) < 0x20 || one == 0x7f)
            one = '?';
    return text;
}

} // namespace

file_failure failure_of(const shared_file& file, std::uint64_t offset, int error) {
    return {file.identity(), path_of(file.descriptor()), offset, error};
}

std::string describe(const file_failure& failure) {
    const dev_t device = failure.identity.device;
    return (failure.path.empty() ? "a file" : "file " + printable(failure.path)) + " (device " +
           std::to_string(major(device)) + ':' + std::to_string(minor(device)) + ", inode " +
           std::to_string(failure.identity.inode) + ") could not be read at byte " +
           std::to_string(failure.offset) + ", " + std::strerror(failure.error) +
           ": downloads that need it from there on end, with a reset; others go on";
}

} // namespace dlhandoff::engine
