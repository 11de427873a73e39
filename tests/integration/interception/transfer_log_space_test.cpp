// The transfer log on a disk that is full, and has space again.
#include "tests/integration/harness/site.hpp"

#include <algorithm>
#include <cstring>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

/// A file system in memory, of a page at first, that this process and those that it starts see, and nobody
/// else; gone with them.
class small_disk {
  public:
    explicit small_disk(std::string path) : path_(std::move(path)) {
        const auto user = std::to_string(::geteuid());
        const auto group = std::to_string(::getegid());
        if (::geteuid() == 0) {
            mounted_ = ::unshare(CLONE_NEWNS) == 0;
        } else if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
            write_file("/proc/self/setgroups", "deny");
            write_file("/proc/self/uid_map", user + ' ' + user + " 1");
            write_file("/proc/self/gid_map", group + ' ' + group + " 1");
            mounted_ = true;
        }
        mounted_ = mounted_ && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                   ::mount("small", path_.c_str(), "tmpfs", 0, "size=4k,mode=0777") == 0;
    }
    ~small_disk() {
        if (mounted_)
            ::umount2(path_.c_str(), MNT_DETACH);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return mounted_; }
    /// Space comes back.
    [[nodiscard]] bool grow() const {
        return ::mount("small", path_.c_str(), "tmpfs", MS_REMOUNT, "size=1m") == 0;
    }

  private:
    std::string path_;
    bool mounted_ = false;
};

std::size_t count(const std::string& text, std::string_view wanted) {
    std::size_t found = 0;
    for (auto at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1))
        ++found;
    return found;
}

class transfer_log_space : public ::testing::TestWithParam<setup> {
  protected:
    /// What the admin reads.
    [[nodiscard]] static std::string log_of(site& here) {
        return GetParam().service ? here.manager().output() : here.httpd().error_log();
    }
};
INSTANTIATE_FOR_SETUPS(transfer_log_space, EVERY_SETUP);

TEST_P(transfer_log_space, that_is_used_up_costs_lines_and_is_said_once) {
    // One process writes, so that there is one to say it.
    site here(
        {.how = GetParam(), .httpd = {.processes = 1, .threads = 8}, .start = false, .start_manager = false});
    here.add_document("file", 100'000);
    const std::string folder = here.directory().make_directory("small");
    const small_disk disk(folder);
    if (!disk.mounted())
        GTEST_SKIP() << "no mount namespace may be made here: " << std::strerror(errno);
    std::filesystem::create_symlink(
        folder + "/transfers.log",
        here.directory() / (GetParam().service ? "manager/transfers.log" : "logs/transfers.log"));
    if (GetParam().service)
        here.manager().start();
    here.httpd().start();
    const auto download = [&] {
        const auto response = here.client().get("/file");
        EXPECT_EQ(response.error, CURLE_OK);
        EXPECT_EQ(response.body_bytes, 100'000U);
        EXPECT_EQ(here.httpd().note_of(response.probe), "claimed");
    };
    std::size_t downloads = 0;
    ASSERT_TRUE(eventually([&] {
        download();
        ++downloads;
        return count(log_of(here), "can't be written (No space left on device)") != 0;
    }));
    for (int i = 0; i < 5; ++i, ++downloads)
        download();
    const auto lines = here.transfers().lines().size(); // each is whole, or this throws
    EXPECT_LT(lines, downloads);
    EXPECT_TRUE(read_file(folder + "/transfers.log").ends_with("}\n"));

    ASSERT_TRUE(disk.grow()) << std::strerror(errno);
    ASSERT_TRUE(eventually([&] {
        download();
        ++downloads;
        return here.transfers().lines().size() > lines;
    }));
    const auto lost = [&] { return downloads - here.transfers().lines().size(); };
    EXPECT_TRUE(eventually([&] {
        return count(log_of(here), "is written again; " + std::to_string(lost()) + " line") == 1;
    })) << lost();
    EXPECT_EQ(count(log_of(here), "can't be written"), 1U);
}

} // namespace
} // namespace dlhandoff::test
