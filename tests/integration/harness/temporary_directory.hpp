#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace dlhandoff::test {

/// A fresh directory under /tmp that anybody may enter, since httpd's children may be another user; removed
/// with all that is in it.
class temporary_directory {
  public:
    temporary_directory();
    ~temporary_directory();
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }

    /// Makes a directory in it, with mode 0755, owned by the user whom httpd's children run as if
    /// `for_httpd`.
    std::string make_directory(std::string_view name, bool for_httpd = false) const;

  private:
    std::filesystem::path path_;
};

/// What can be read of it: nothing if it is not there, or a process's that has gone.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view text);

} // namespace dlhandoff::test
