#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>

namespace dlhandoff::test {

/// A file system (fuse(4)) whose files misbehave as those of network file systems and dying disks do, each by
/// its name. All have the same bytes, which tell their place. Mounted for as long as the object lives.
class faulty_disk {
  public:
    static constexpr std::uint64_t file_size = 12'000'000;
    static constexpr std::uint64_t unreadable_from = file_size / 5 * 3; ///< of `dying`

    // What is in it:
    static constexpr const char* sound = "sound";
    static constexpr const char* dying = "dying";             ///< EIO from unreadable_from on
    static constexpr const char* interrupted = "interrupted"; ///< EINTR from each megabyte's first read
    static constexpr const char* halting = "halting";   ///< too few bytes from each megabyte's first read
    static constexpr const char* drifting = "drifting"; ///< another mtime whenever somebody asks
    /// Each open makes a new version, all of whose bytes differ (content(), version); read(2) has the latest,
    /// the page cache and so sendfile(2) may have an earlier one.
    static constexpr const char* versioned = "versioned";

    /// Mounts it; the reason if that is not possible here: no /dev/fuse, no right to mount, built without
    /// libfuse3. `keep_attributes`: for how long the kernel believes what it was told of sizes and times.
    [[nodiscard]] static std::variant<std::unique_ptr<faulty_disk>, std::string>
    mount(std::string_view keep_attributes = "0");
    ~faulty_disk();
    faulty_disk(const faulty_disk&) = delete;
    faulty_disk& operator=(const faulty_disk&) = delete;

    [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return folder_ + '/' + std::string(name);
    }

    [[nodiscard]] static constexpr char byte_at(std::uint64_t offset, unsigned version = 0) noexcept {
        return static_cast<char>((offset * 7 + offset / 251 + version) & 0xff);
    }
    [[nodiscard]] static std::string content(std::uint64_t size = file_size, unsigned version = 0);

  private:
    faulty_disk(std::string folder, pid_t daemon) : folder_(std::move(folder)), daemon_(daemon) {}

    std::string folder_;
    pid_t daemon_;
};

/// In a test: mounts one as `disk`, or skips the test and says why.
#define MOUNT_FAULTY_DISK(disk, ...)                                                                         \
    auto disk##_or_reason = ::dlhandoff::test::faulty_disk::mount(__VA_ARGS__);                              \
    if (const auto* reason = std::get_if<std::string>(&disk##_or_reason))                                    \
        GTEST_SKIP() << *reason;                                                                             \
    auto& disk = *std::get<0>(disk##_or_reason)

} // namespace dlhandoff::test
