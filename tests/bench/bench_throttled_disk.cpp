/// A file system that is slow to read (fuse(4)): whatever name is opened in it is a file of 1 GB, and each
/// read sleeps. For scripts/compare, to see who waits with it. Runs in the foreground until it is unmounted.
#define FUSE_USE_VERSION 31

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fuse3/fuse.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr off_t size_of_all = 1'000'000'000;
std::chrono::milliseconds delay{100};

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
    *status = {};
    const bool is_root = std::string_view(path) == "/";
    status->st_mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0644;
    status->st_nlink = is_root ? 2 : 1;
    status->st_size = is_root ? 0 : size_of_all;
    status->st_mtim.tv_sec = 1'700'000'000;
    return 0;
}

int open_file(const char*, fuse_file_info* how) {
    return (how->flags & O_ACCMODE) == O_RDONLY ? 0 : -EROFS;
}

int read_file(const char*, char* into, size_t size, off_t offset, fuse_file_info*) {
    std::this_thread::sleep_for(delay);
    const off_t left = std::max<off_t>(size_of_all - offset, 0);
    const size_t some = std::min(size, static_cast<size_t>(left));
    std::memset(into, 'c', some);
    return static_cast<int>(some);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4 || std::string_view(argv[1]) != "--delay-ms") {
        std::fprintf(stderr, "usage: bench_throttled_disk --delay-ms N FOLDER\n");
        return 2;
    }
    delay = std::chrono::milliseconds(std::strtol(argv[2], nullptr, 10));
    ::prctl(PR_SET_PDEATHSIG, SIGTERM); // whoever measures has gone
    fuse_operations operations{};
    operations.getattr = get_attributes;
    operations.open = open_file;
    operations.read = read_file;
    // One read at a time, as of one disk. Others than the owner may read: servers' children.
    char program[] = "bench_throttled_disk", foreground[] = "-f", single[] = "-s", option[] = "-o";
    char all[] = "ro,allow_other", own[] = "ro";
    char* arguments[] = {program, foreground, single, option, ::geteuid() == 0 ? all : own, argv[3], nullptr};
    return fuse_main(6, arguments, &operations, nullptr);
}
