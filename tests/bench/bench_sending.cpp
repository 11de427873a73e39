/// What sending costs: the engine beside a plain sendfile loop, over loopback, to clients that read as fast
/// as they can. Both are measured in turns, in the same minute, since the machine's speed changes more than
/// they differ.
///
/// Clients drop what they read without copying it (MSG_TRUNC, tcp(7)), so that the sender is the bottleneck
/// and whatever it does besides sending shows. CPU time is the sending process's (getrusage); over loopback
/// it holds part of the receiving kernel's work too, the same for both.
#include "dlmanagerd/engine/engine.hpp"
#include "tests/bench/fast_clients.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/sample.hpp"
#include "tests/bench/sendfile_loop.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sys/resource.h>
#include <vector>

namespace dlhandoff::bench {
namespace {

using engine::clock;

struct options {
    std::vector<unsigned> clients{1, 16, 64};
    unsigned rounds = 7;
    double gigabytes = 4;
    bool copy = false;
};

/// 64 MB: more than the processor's caches keep, little enough for any machine.
constexpr std::uint64_t file_size = 64'000'000;

/// What a server sends in one measurement.
struct workload {
    unsigned clients;
    std::uint64_t times; ///< the file, to each client
    [[nodiscard]] std::uint64_t bytes() const { return clients * times * file_size; }
};

struct cost {
    double cpu_seconds_per_gigabyte;
    double gigabytes_per_second;
};

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void send_with_engine(std::vector<file_descriptor> connections, const sample& file, std::uint64_t times) {
    engine::event_loop loop;
    engine::engine sender(loop, {}, {});
    for (file_descriptor& connection : connections) {
        std::vector<file_descriptor> descriptors;
        descriptors.push_back(std::move(connection));
        descriptors.push_back(file_descriptor::duplicate_of(file.descriptor()));
        auto ready = sender.prepare(typical_offer(file.identity(), times), std::move(descriptors));
        if (const auto* const reason = std::get_if<refusal>(&ready))
            throw std::runtime_error("refused: " + std::string(name(*reason)));
        sender.begin(std::get<engine::engine::prepared>(std::move(ready)));
    }
    sender.run_turns();
    while (sender.active() != 0) {
        loop.run_once(sender.next_deadline());
        sender.run_turns();
    }
}

enum class contestant { engine, sendfile_loop };

cost measure(contestant who, const workload& work, const sample& file, bool copy) {
    const loopback_listener listener;
    role server("server", [&](channel& parent) {
        auto connections = listener.accept(work.clients);
        parent.tell(clock::now());
        const double before = cpu_seconds();
        if (who == contestant::engine)
            send_with_engine(std::move(connections), file, work.times);
        else
            send_with_sendfile_loop(std::move(connections), typical_head, file.descriptor(), file.size(),
                                    work.times);
        parent.tell(cpu_seconds() - before);
    });
    role clients("clients", [&](channel& parent) {
        const std::uint64_t received = read_to_the_end(listener.port(), work.clients, copy);
        parent.tell(clock::now());
        parent.tell(received);
    });
    const auto began = server.talk().hear<clock::time_point>();
    const auto ended = clients.talk().hear<clock::time_point>();
    const auto received = clients.talk().hear<std::uint64_t>();
    if (received != work.bytes() + work.clients * typical_head.size())
        throw std::runtime_error("the clients got " + std::to_string(received) + " bytes, not all");
    const double gigabytes = static_cast<double>(work.bytes()) * 1e-9;
    return {server.talk().hear<double>() / gigabytes,
            gigabytes / std::chrono::duration<double>(ended - began).count()};
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void compare(unsigned clients, const options& asked, const sample& file) {
    const double each = asked.gigabytes * 1e9 / clients / static_cast<double>(file_size);
    const workload work{clients, std::clamp<std::uint64_t>(static_cast<std::uint64_t>(each), 1, 1000)};
    std::vector<double> engine_cpu, loop_cpu, cpu_ratio, engine_speed, loop_speed;
    for (unsigned round = 0; round < asked.rounds; ++round) {
        // Who goes first alternates too.
        cost engine{}, loop{};
        if (round % 2 == 0)
            engine = measure(contestant::engine, work, file, asked.copy);
        loop = measure(contestant::sendfile_loop, work, file, asked.copy);
        if (round % 2 != 0)
            engine = measure(contestant::engine, work, file, asked.copy);
        engine_cpu.push_back(engine.cpu_seconds_per_gigabyte);
        loop_cpu.push_back(loop.cpu_seconds_per_gigabyte);
        cpu_ratio.push_back(engine.cpu_seconds_per_gigabyte / loop.cpu_seconds_per_gigabyte);
        engine_speed.push_back(engine.gigabytes_per_second);
        loop_speed.push_back(loop.gigabytes_per_second);
    }
    std::printf("%7u  %9.4f  %13.4f  %5.2f  %5.2f..%4.2f  %9.2f  %13.2f\n", clients, median(engine_cpu),
                median(loop_cpu), median(cpu_ratio), *std::min_element(cpu_ratio.begin(), cpu_ratio.end()),
                *std::max_element(cpu_ratio.begin(), cpu_ratio.end()), median(engine_speed),
                median(loop_speed));
    std::fflush(stdout);
}

void run(const options& asked) {
    const sample file(file_size);
    std::printf("%u rounds of %.1f GB each; medians\n", asked.rounds, asked.gigabytes);
    std::printf("         CPU seconds per GB              of engine / loop    GB/s\n");
    std::printf("clients     engine  sendfile loop  ratio   min..max     engine  sendfile loop\n");
    for (const unsigned clients : asked.clients)
        compare(clients, asked, file);
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    dlhandoff::bench::options asked;
    CLI::App app("Engine and plain sendfile loop: CPU seconds per GB, GB/s");
    app.add_option("--clients", asked.clients, "How many clients at once; several for several lines")
        ->delimiter(',');
    app.add_option("--rounds", asked.rounds, "Measurements of each")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--gigabytes", asked.gigabytes, "Sent in one measurement")->capture_default_str();
    app.add_flag("--copy", asked.copy, "Clients copy what they read: slower than the sender");
    CLI11_PARSE(app, argc, argv);
    try {
        dlhandoff::bench::run(asked);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_sending: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
