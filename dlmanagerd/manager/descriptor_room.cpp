#include "dlmanagerd/manager/descriptor_room.hpp"

#include <algorithm>
#include <dirent.h>
#include <memory>

namespace dlhandoff::service {

std::uint64_t descriptor_room::reserve() const noexcept {
    return std::min(limit_ / 4, 64 + 2 * sessions_);
}

std::uint64_t descriptor_room::most_sessions() const noexcept {
    return std::max<std::uint64_t>(limit_ / 4, 1);
}

std::uint64_t descriptor_room::needed_for(room_level level) const noexcept {
    switch (level) {
    case room_level::none:
        return 0;
    case room_level::low:
        return reserve();
    case room_level::plenty:
        break;
    }
    return 2 * reserve();
}

std::uint64_t descriptor_room::missing_for(room_level wanted) const noexcept {
    const std::uint64_t enough = needed_for(wanted) + (level_ < wanted ? margin() : 0);
    return free() >= enough ? 0 : needed_for(wanted) + margin() - free();
}

bool descriptor_room::update(std::uint64_t used, std::uint64_t sessions) noexcept {
    used_ = used;
    sessions_ = sessions;
    const room_level before = level_;
    if (missing_for(room_level::low) != 0)
        level_ = room_level::none;
    else
        level_ = missing_for(room_level::plenty) != 0 ? room_level::low : room_level::plenty;
    return level_ != before;
}

std::uint64_t descriptor_room::surplus_sessions() const noexcept {
    const std::uint64_t untouched = reserve() / 2;
    const std::uint64_t too_many = sessions_ < most_sessions() ? 0 : sessions_ + 1 - most_sessions();
    // The new one takes one itself.
    return std::max(too_many, free() > untouched ? 0 : untouched + 1 - free());
}

std::uint64_t count_descriptors() noexcept {
    const auto close = [](DIR* opened) { ::closedir(opened); };
    const std::unique_ptr<DIR, decltype(close)> folder(::opendir("/proc/self/fd"), close);
    if (!folder)
        return 0;
    std::uint64_t found = 0;
    while (const dirent* entry = ::readdir(folder.get()))
        found += entry->d_name[0] != '.' ? 1 : 0;
    return found - 1; // the folder's own
}

} // namespace dlhandoff::service
