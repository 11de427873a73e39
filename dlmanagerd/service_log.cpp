#include "dlmanagerd/service_log.hpp"

#include <cstdlib>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

/// Whether standard error is the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5)).
bool stderr_is_journal() {
    const char* journal = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    return journal != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
           journal == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

/// `%*`: the level as syslog's priority in angle brackets.
class priority_flag final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& into) override {
        const std::string_view text = message.level >= spdlog::level::err    ? "<3>"
                                      : message.level == spdlog::level::warn ? "<4>"
                                      : message.level == spdlog::level::info ? "<6>"
                                                                             : "<7>";
        into.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<priority_flag>();
    }
};

} // namespace

void start_service_log(const std::string& manager) {
    const auto level = spdlog::get_level();
    const std::string who = manager.empty() ? "" : manager + ": ";
    auto logger =
        std::make_shared<spdlog::logger>("dlmanagerd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    if (stderr_is_journal()) {
        auto formatter = std::make_unique<spdlog::pattern_formatter>();
        formatter->add_flag<priority_flag>('*').set_pattern("%*" + who + "%v");
        logger->set_formatter(std::move(formatter));
    } else {
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %n[%P] %l: " + who + "%v");
    }
    logger->set_level(level);
    spdlog::set_default_logger(std::move(logger));
}

void set_service_log_level(log_level least) {
    switch (least) {
    case log_level::debug:
        return spdlog::set_level(spdlog::level::debug);
    case log_level::info:
        return spdlog::set_level(spdlog::level::info);
    case log_level::warning:
        return spdlog::set_level(spdlog::level::warn);
    case log_level::error:
        return spdlog::set_level(spdlog::level::err);
    }
}

} // namespace dlhandoff::service
