#include "tests/integration/harness/transfer_log_reader.hpp"

#include "tests/integration/harness/temporary_directory.hpp"

namespace dlhandoff::test {

std::vector<nlohmann::json> transfer_log_reader::lines() const {
    std::vector<nlohmann::json> found;
    const std::string text = read_file(path_);
    std::size_t start = 0;
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
        found.push_back(nlohmann::json::parse(text.substr(start, end - start)));
        start = end + 1;
    }
    return found;
}

std::optional<nlohmann::json>
transfer_log_reader::wait_for(const std::function<bool(const nlohmann::json&)>& matches,
                              std::chrono::milliseconds within) const {
    std::optional<nlohmann::json> found;
    (void)eventually(
        [&] {
            for (const nlohmann::json& line : lines())
                if (matches(line)) {
                    found = line;
                    return true;
                }
            return false;
        },
        within);
    return found;
}

std::optional<nlohmann::json> transfer_log_reader::transfer(std::string_view probe,
                                                            std::chrono::milliseconds within) const {
    return wait_for([probe](const nlohmann::json& line) { return line.value("tag", "") == probe; }, within);
}

} // namespace dlhandoff::test
