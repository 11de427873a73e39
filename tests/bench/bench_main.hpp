#pragma once

#include <CLI/CLI.hpp>
#include <cerrno> // program_invocation_short_name
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace dlhandoff::bench {

/// What the main() of a benchmark does with its options: parses them, which --help and a wrong one end, and
/// runs it. A failure is said on the standard error, with the program's name.
template <class Run>
[[nodiscard]] int run_main(CLI::App& app, int argc, char** argv, Run run) {
    CLI11_PARSE(app, argc, argv);
    try {
        run();
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, error.what());
        return EXIT_FAILURE;
    }
}

} // namespace dlhandoff::bench
