#include "tests/integration/harness/temporary_directory.hpp"

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/child_process.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {

temporary_directory::temporary_directory() {
    std::string name = "/tmp/dlhandoff-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
        throw_errno("mkdtemp(/tmp/dlhandoff-test-XXXXXX)");
    path_ = name;
    if (::chmod(name.c_str(), 0755) < 0)
        throw_errno("chmod(temporary directory)");
}

temporary_directory::~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string temporary_directory::make_directory(std::string_view name, bool for_httpd) const {
    const auto made = path_ / name;
    std::filesystem::create_directories(made);
    if (::chmod(made.c_str(), 0755) < 0)
        throw_errno("chmod(directory)");
    if (for_httpd && ::geteuid() == 0) {
        const account children = httpd_account();
        if (::chown(made.c_str(), children.user, children.group) < 0)
            throw_errno("chown(directory)");
    }
    return made.string();
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    // Not by iterators, which throw where a file of /proc ends with its process.
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void write_file(const std::filesystem::path& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out)
        throw std::runtime_error("cannot write " + path.string());
}

} // namespace dlhandoff::test
