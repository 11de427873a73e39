#include "tests/bench/memory_use.hpp"

#include "engine/client/tcp_progress.hpp"
#include "shared/file_descriptor.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <linux/sock_diag.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::bench {
namespace {

/// The number that follows `word` in a file of words.
std::int64_t number_after(const char* path, const std::string& line_start, const std::string& word) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(line_start))
            continue;
        if (const auto at = line.find(word); at != std::string::npos)
            return std::stoll(line.substr(at + word.size()));
    }
    throw std::runtime_error(std::string(path) + " has no " + line_start + " " + word);
}

} // namespace

std::int64_t own_memory() {
    return number_after("/proc/self/smaps_rollup", "Pss:", "Pss:") * 1024;
}

std::int64_t memory_of(pid_t process) {
    const std::string path = "/proc/" + std::to_string(process) + "/smaps_rollup";
    return number_after(path.c_str(), "Pss:", "Pss:") * 1024;
}

/// The file has names in one line and numbers in the next, both of which begin with TcpExt.
std::int64_t tcp_memory_pressures() {
    std::ifstream file("/proc/net/netstat");
    std::string names;
    std::string numbers;
    while (std::getline(file, names) && std::getline(file, numbers)) {
        std::istringstream name_words(names);
        std::istringstream number_words(numbers);
        for (std::string name, number; name_words >> name && number_words >> number;)
            if (name == "TCPMemoryPressures")
                return std::stoll(number);
    }
    throw std::runtime_error("/proc/net/netstat has no TCPMemoryPressures");
}

std::int64_t kernel_tcp_memory() {
    return number_after("/proc/net/sockstat", "TCP:", " mem ") * ::sysconf(_SC_PAGESIZE);
}

std::int64_t own_socket_memory() {
    std::int64_t total = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int number = std::stoi(entry.path().filename());
        std::array<std::uint32_t, SK_MEMINFO_VARS> charged{};
        socklen_t charged_size = sizeof charged;
        if (!engine::is_tcp(number) ||
            ::getsockopt(number, SOL_SOCKET, SO_MEMINFO, charged.data(), &charged_size) != 0)
            continue;
        total += std::int64_t{charged[SK_MEMINFO_RMEM_ALLOC]} + charged[SK_MEMINFO_WMEM_QUEUED] +
                 charged[SK_MEMINFO_FWD_ALLOC];
    }
    return total;
}

} // namespace dlhandoff::bench
