#include "dlmanagerd/configuration/command_line.hpp"
#include "dlmanagerd/service_log.hpp"
#include "dlmanagerd/supervisor/supervisor.hpp"

#include <cstdio>
#include <exception>
#include <spdlog/spdlog.h>

namespace {

using namespace dlhandoff::service;

exit_status run(int argc, char** argv) {
    const auto parsed = parse_command_line(argc, argv);
    if (const auto* end = std::get_if<exit_status>(&parsed))
        return *end;
    const auto& asked = std::get<command_line>(parsed);
    try {
        const configuration settings = configuration_of(asked);
        if (asked.check_config) {
            std::puts("The configuration is fine.");
            return exit_status::clean;
        }
        start_service_log();
        set_service_log_level(settings.log.level);
        supervisor(asked, settings).run();
        return exit_status::clean;
    } catch (const configuration_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return exit_status::usage;
    } catch (const std::exception& error) {
        spdlog::error("cannot go on: {}", error.what());
        return exit_status::run_time;
    }
}

} // namespace

int main(int argc, char** argv) {
    return static_cast<int>(run(argc, argv));
}
