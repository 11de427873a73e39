/// More slow downloads at once than one process may have descriptors: httpd with dlmanagerd, whose supervisor
/// starts duplicates. The clients are several processes, each with an address of its own. What it costs:
/// memory of all managers, TCP memory of the machine (clients' included), and what a visitor's click takes
/// meanwhile.
#include "tests/bench/bench_main.hpp"
#include "tests/bench/descriptor_limit.hpp"
#include "tests/bench/http_probe.hpp"
#include "tests/bench/httpd_address.hpp"
#include "tests/bench/median.hpp"
#include "tests/bench/memory_use.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/slow_clients.hpp"
#include "tests/integration/harness/private_httpd.hpp"
#include "tests/integration/harness/private_manager.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

namespace dlhandoff::bench {
namespace {

using clock = std::chrono::steady_clock;

struct options {
    slow_clients::options clients;
    unsigned processes = 4;
    unsigned seconds = 20;
    unsigned descriptors = 0;
    std::string mpm = "prefork";
    unsigned workers = 50;
};

struct reading {
    unsigned streaming;
    unsigned ended;
};

void run(const options& asked) {
    const rlim_t descriptors = raise_descriptor_limit();
    const test::temporary_directory directory;
    test::private_manager manager(directory,
                                  "[limits]\ndescriptors = " + std::to_string(asked.descriptors) + "\n",
                                  {.managers = 1, .max_managers = 64, .duplicate_idle = "60s"});
    manager.start(descriptors);
    test::httpd_options httpd_options;
    httpd_options.mpm = asked.mpm;
    constexpr unsigned threads = 25;
    httpd_options.threads = threads;
    httpd_options.processes =
        static_cast<int>(asked.mpm == "prefork" ? asked.workers : std::max(1U, asked.workers / threads));
    httpd_options.configuration =
        "DLHandoff On\nDLHandoffMinSize 0\nDLHandoffManager unix:" + manager.socket() + "\n";
    test::private_httpd httpd(directory, httpd_options);
    const std::string big = directory / "htdocs/big";
    std::ofstream(big).close();
    std::filesystem::resize_file(big, 1'000'000'000);
    httpd.start();
    const loopback_address server = address_of(httpd);

    const std::int64_t pressures = tcp_memory_pressures();
    const std::int64_t tcp_before = kernel_tcp_memory();
    std::vector<std::unique_ptr<role>> clients;
    for (unsigned i = 0; i < asked.processes; ++i)
        clients.push_back(std::make_unique<role>("clients", [&, i](channel& parent) {
            slow_clients::options some = asked.clients;
            some.server = server;
            some.count /= asked.processes;
            some.connects_a_second /= asked.processes;
            some.source = 0x7f000100 + i + 1; // 127.0.1.1 and so on
            some.request = "GET /big HTTP/1.1\r\nHost: main.test\r\n\r\n";
            slow_clients many(some);
            many.connect();
            while (!parent.heard())
                many.read_for(std::chrono::milliseconds(200));
            static_cast<void>(parent.hear<char>());
            parent.tell(reading{many.streaming(), many.ended()});
            while (!parent.heard())
                many.read_for(std::chrono::milliseconds(200));
        }));
    // Until all have come, and a while longer.
    const unsigned arrival =
        asked.clients.connects_a_second == 0 ? 0 : asked.clients.count / asked.clients.connects_a_second;
    std::this_thread::sleep_for(std::chrono::seconds(arrival + 5));

    std::vector<std::chrono::microseconds> answered;
    unsigned timed_out = 0;
    const auto until = clock::now() + std::chrono::seconds(asked.seconds);
    for (auto next = clock::now(); next < until;
         next = std::max(next + std::chrono::milliseconds(20), clock::now())) {
        std::this_thread::sleep_until(next);
        if (const auto took = probe(server, "/ready", std::chrono::seconds(1)))
            answered.push_back(*took);
        else
            ++timed_out;
    }
    reading all{};
    for (const auto& some : clients) {
        some->talk().tell('r');
        const auto one = some->talk().hear<reading>();
        all.streaming += one.streaming;
        all.ended += one.ended;
    }
    std::int64_t memory = memory_of(manager.pid());
    const auto managers = manager.managers();
    for (const pid_t one : managers)
        memory += memory_of(one);
    const std::int64_t tcp = kernel_tcp_memory() - tcp_before;
    const double count = asked.clients.count;
    std::printf(
        "%u downloads of %u bytes/s from %u client processes, %s with %u workers: %u streaming, %u ended\n",
        asked.clients.count, asked.clients.bytes_per_second, asked.processes, asked.mpm.c_str(),
        asked.workers, all.streaming, all.ended);
    std::printf("%zu managers; memory of all and the supervisor (PSS) %.1f MB: %.0f bytes a download\n",
                managers.size(), static_cast<double>(memory) / 1e6, static_cast<double>(memory) / count);
    std::printf("kernel TCP memory, clients' included: %.0f MB, %.1f kB a download; memory pressures: %lld\n",
                static_cast<double>(tcp) / 1e6, static_cast<double>(tcp) / 1e3 / count,
                static_cast<long long>(tcp_memory_pressures() - pressures));
    std::sort(answered.begin(), answered.end());
    const auto milliseconds = [&](double which) {
        return answered.empty() ? 0.0 : static_cast<double>(quantile(answered, which).count()) / 1e3;
    };
    std::printf("probes: %zu answered, %u not within 1 s; p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
                answered.size(), timed_out, milliseconds(0.5), milliseconds(0.99), milliseconds(1));
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    dlhandoff::bench::options asked;
    asked.clients.count = 50'000;
    asked.clients.bytes_per_second = 4'000;
    asked.clients.receive_buffer = 4'096;
    asked.clients.connects_a_second = 2'000;
    asked.clients.pause = std::chrono::seconds(2);
    CLI::App app("Many slow downloads over duplicates of the manager");
    app.add_option("--clients", asked.clients.count, "Slow downloads")->check(CLI::Range(1, 200000));
    app.add_option("--processes", asked.processes, "That they come from")->check(CLI::Range(1, 64));
    app.add_option("--rate", asked.clients.bytes_per_second, "Bytes a second of each");
    app.add_option("--receive-buffer", asked.clients.receive_buffer, "SO_RCVBUF of each");
    app.add_option("--connects", asked.clients.connects_a_second, "New ones a second");
    app.add_option("--seconds", asked.seconds, "How long to probe")->check(CLI::Range(1, 200));
    app.add_option("--descriptors", asked.descriptors, "Of each manager; 0: RLIMIT_NOFILE");
    app.add_option("--mpm", asked.mpm)->check(CLI::IsMember({"prefork", "worker", "event"}));
    app.add_option("--workers", asked.workers, "MaxRequestWorkers")->check(CLI::Range(1, 1000));
    app.option_defaults()->always_capture_default();
    return dlhandoff::bench::run_main(app, argc, argv, [&] { dlhandoff::bench::run(asked); });
}
