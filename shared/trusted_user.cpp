#include "shared/trusted_user.hpp"

#include "shared/file_descriptor.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace dlhandoff {
namespace {

/// The first numbers in a file of /proc; 0 for those that are missing, or if the file can't be read.
template <std::size_t Count>
std::array<unsigned long, Count> read_numbers(const char* path) noexcept {
    std::array<char, 128> text{};
    if (const file_descriptor file{::open(path, O_RDONLY | O_CLOEXEC)})
        (void)!::read(file.get(), text.data(), text.size() - 1);
    std::array<unsigned long, Count> numbers{};
    char* at = text.data();
    for (unsigned long& number : numbers)
        number = std::strtoul(at, &at, 10);
    return numbers;
}

/// One line maps all ids, from 0 on (user_namespaces(7)); (uid_t)-1 is no user.
bool has_every_user() noexcept {
    return read_numbers<3>("/proc/self/uid_map") == std::array<unsigned long, 3>{0, 0, 4'294'967'295};
}

bool is_overflow_user(uid_t user) noexcept {
    static const auto set = read_numbers<1>("/proc/sys/kernel/overflowuid").front();
    constexpr uid_t usual = 65534;
    return user == (set != 0 ? static_cast<uid_t>(set) : usual);
}

} // namespace

bool may_be_anybody(uid_t user) noexcept {
    return is_overflow_user(user) && !has_every_user();
}

bool is_trusted(uid_t user, std::span<const uid_t> others) noexcept {
    return user == 0 || (user == ::geteuid() && !may_be_anybody(user)) ||
           std::ranges::find(others, user) != others.end();
}

} // namespace dlhandoff
