#include "tests/integration/harness/documents.hpp"

#include "shared/file_descriptor.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

constexpr std::size_t stretch = 1 << 20;

/// The finaliser of splitmix64: each 8 bytes depend on their place alone.
std::uint64_t mixed(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

/// An hour old: a file of this second has a weak entity tag only, which If-Range never matches (RFC
/// 9110, 8.8.1).
void make_old(int file) {
    timespec past[2]{};
    ::clock_gettime(CLOCK_REALTIME, &past[0]);
    past[0].tv_sec -= 3600;
    past[1] = past[0];
    if (::futimens(file, past) < 0)
        throw_errno("futimens(document)");
}

file_descriptor create(const std::filesystem::path& path) {
    file_descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file || ::fchmod(file.get(), 0644) < 0)
        throw_errno("open(document)");
    return file;
}

void put(int file, std::uint64_t offset, std::size_t length) {
    const std::string bytes = sequence_bytes(offset, length);
    if (::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(bytes.size()))
        throw_errno("pwrite(document)");
}

} // namespace

std::string sequence_bytes(std::uint64_t offset, std::size_t length) {
    std::string bytes(length + 16, '\0');
    const std::uint64_t first = offset / 8;
    for (std::size_t i = 0; i * 8 + 8 <= bytes.size(); ++i) {
        const std::uint64_t word = mixed(first + i);
        std::memcpy(bytes.data() + i * 8, &word, sizeof word);
    }
    return bytes.substr(offset % 8, length);
}

void make_document(const std::filesystem::path& path, std::uint64_t size) {
    const auto file = create(path);
    for (std::uint64_t offset = 0; offset < size; offset += stretch)
        put(file.get(), offset, static_cast<std::size_t>(std::min<std::uint64_t>(stretch, size - offset)));
    make_old(file.get());
}

void make_sparse_document(const std::filesystem::path& path, std::uint64_t size) {
    const auto file = create(path);
    if (::ftruncate(file.get(), static_cast<off_t>(size)) < 0)
        throw_errno("ftruncate(document)");
    for (std::uint64_t offset = 0; offset + stretch <= size; offset += std::uint64_t{512} << 20)
        put(file.get(), offset, stretch);
    put(file.get(), size - stretch, stretch);
    make_old(file.get());
}

} // namespace dlhandoff::test
