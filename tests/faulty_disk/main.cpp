/// The file system of faulty_disk.hpp: faulty_disk FOLDER SECONDS. Runs in the foreground until it gets
/// SIGTERM, then unmounts; one thread.
#define FUSE_USE_VERSION 31

#include "tests/faulty_disk/faulty_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fuse3/fuse.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace {

using dlhandoff::test::faulty_disk;

double keep_attributes = 0;
time_t drifting_time = 1'700'000'000;
unsigned version = 0; ///< of `versioned`: opens so far, less one
bool opened = false;

std::string_view name_of(const char* path) {
    return std::string_view(path).substr(1);
}

/// True once for each megabyte of each file.
bool is_first_in_megabyte(const char* path, off_t offset) {
    static std::set<std::pair<std::string, off_t>> seen;
    return seen.emplace(path, offset >> 20).second;
}

void* start(fuse_conn_info*, fuse_config* how) {
    how->attr_timeout = keep_attributes;
    return nullptr;
}

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
    *status = {};
    const bool is_root = std::string_view(path) == "/";
    status->st_mode = is_root ? S_IFDIR | 0755U : S_IFREG | 0644U;
    status->st_nlink = is_root ? 2 : 1;
    status->st_size = is_root ? 0 : static_cast<off_t>(faulty_disk::file_size);
    status->st_mtim.tv_sec = name_of(path) == faulty_disk::drifting ? ++drifting_time : 1'700'000'000;
    return 0;
}

int open_file(const char* path, fuse_file_info* how) {
    if ((how->flags & O_ACCMODE) != O_RDONLY)
        return -EROFS;
    if (name_of(path) == faulty_disk::interrupted)
        how->direct_io = 1; // the page cache would try again by itself
    if (name_of(path) == faulty_disk::versioned) {
        how->direct_io = 1;
        how->keep_cache = 1;
        version += std::exchange(opened, true) ? 1U : 0U;
    }
    return 0;
}

int read_file(const char* path, char* into, size_t size, off_t offset, fuse_file_info*) {
    const std::string_view name = name_of(path);
    const auto from = static_cast<std::uint64_t>(offset);
    std::uint64_t count =
        from < faulty_disk::file_size ? std::min<std::uint64_t>(size, faulty_disk::file_size - from) : 0;
    if (name == faulty_disk::interrupted && is_first_in_megabyte(path, offset))
        return -EINTR;
    if (name == faulty_disk::halting && is_first_in_megabyte(path, offset))
        count = count / 3;
    if (name == faulty_disk::dying && from + count > faulty_disk::unreadable_from)
        return -EIO;
    for (std::uint64_t i = 0; i < count; ++i)
        into[i] = faulty_disk::byte_at(from + i, name == faulty_disk::versioned ? version : 0);
    return static_cast<int>(count);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: faulty_disk FOLDER SECONDS\n");
        return 2;
    }
    keep_attributes = std::strtod(argv[2], nullptr);
    fuse_operations operations{};
    operations.init = start;
    operations.getattr = get_attributes;
    operations.open = open_file;
    operations.read = read_file;
    char program[] = "faulty_disk", foreground[] = "-f", single[] = "-s", option[] = "-o";
    char all[] = "ro,allow_other", own[] = "ro";
    char* arguments[] = {program, foreground, single, option, ::geteuid() == 0 ? all : own, argv[1], nullptr};
    return fuse_main(6, arguments, &operations, nullptr);
}
