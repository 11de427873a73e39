#include "tests/faulty_disk/faulty_disk.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#ifndef FAULTY_DISK_PROGRAM // built without libfuse3
#define FAULTY_DISK_PROGRAM ""
#endif

namespace dlhandoff::test {
namespace {

dev_t device_of(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_dev : 0;
}

} // namespace

std::variant<std::unique_ptr<faulty_disk>, std::string> faulty_disk::mount(std::string_view keep_attributes) {
    const std::string program = FAULTY_DISK_PROGRAM;
    if (program.empty())
        return "built without libfuse3 (Debian: libfuse3-dev)";
    if (::access("/dev/fuse", R_OK | W_OK) != 0)
        return std::string("/dev/fuse: ") + std::strerror(errno);
    std::string folder = "/tmp/dlhandoff-disk-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
        return std::string("mkdtemp: ") + std::strerror(errno);
    ::chmod(folder.c_str(), 0755);
    const dev_t before = device_of(folder);
    const std::string timeout(keep_attributes);
    const pid_t daemon = ::fork();
    if (daemon == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM); // so that it unmounts when the test dies
        ::setsid();
        ::execl(program.c_str(), program.c_str(), folder.c_str(), timeout.c_str(), nullptr);
        ::_exit(127);
    }
    std::unique_ptr<faulty_disk> disk(new faulty_disk(folder, daemon));
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (device_of(folder) == before) {
        int status = 0;
        if (daemon < 0 || ::waitpid(daemon, &status, WNOHANG) == daemon) {
            disk->daemon_ = -1;
            return "a FUSE file system can't be mounted here";
        }
        if (std::chrono::steady_clock::now() > limit)
            return "a FUSE file system is not mounted in time";
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    return disk;
}

faulty_disk::~faulty_disk() {
    if (daemon_ > 0) {
        ::kill(daemon_, SIGTERM); // it unmounts, lazily: also while files are open
        ::waitpid(daemon_, nullptr, 0);
    }
    ::rmdir(folder_.c_str());
}

std::string faulty_disk::content(std::uint64_t size, unsigned version) {
    std::string bytes(size, '\0');
    for (std::uint64_t i = 0; i < size; ++i)
        bytes[i] = byte_at(i, version);
    return bytes;
}

} // namespace dlhandoff::test
