#include "tests/integration/interop/interop_results.hpp"

#include "tests/integration/harness/temporary_directory.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

namespace dlhandoff::test {
namespace {

std::string result_of(const std::string& note, bool right) {
    if (!right)
        return "FAILED";
    if (note == "claimed")
        return "handed off";
    constexpr std::string_view declined = "declined:";
    return note.starts_with(declined) ? "served (`" + note.substr(declined.size()) + "`)" : "served";
}

std::string file_of_this_test() {
    const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test.test_suite_name()) + '.' + test.name();
    std::ranges::replace(name, '/', '_');
    return name;
}

} // namespace

void interop_results::add_suite(const std::string& suite, const std::string& note, bool right) {
    lines_ += "suite\t" + client_ + '\t' + suite + '\t' + result_of(note, right) + '\n';
}

void interop_results::add(const std::string& what, const std::string& note, bool right) {
    lines_ += "else\t" + client_ + '\t' + what + '\t' + result_of(note, right) + '\n';
}

interop_results::~interop_results() {
    try {
        const std::filesystem::path folder = INTEROP_RESULTS;
        std::filesystem::create_directories(folder);
        write_file(folder / file_of_this_test(), lines_);
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
    }
}

} // namespace dlhandoff::test
