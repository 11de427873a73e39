/// The load of scripts/compare, for whatever server there is at an address of 127.0.0.0/8: clients that are
/// fast, clients that are slow, visitors who want a small page; and the least server, to compare with. Each
/// way prints JSON objects, one a line.
#include "tests/bench/asking_clients.hpp"
#include "tests/bench/bench_main.hpp"
#include "tests/bench/cpu_time.hpp"
#include "tests/bench/descriptor_limit.hpp"
#include "tests/bench/memory_use.hpp"
#include "tests/bench/probe_series.hpp"
#include "tests/bench/sendfile_server.hpp"
#include "tests/bench/slow_clients.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <unistd.h>

namespace dlhandoff::bench {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::uint32_t parse_host(const std::string& text) {
    in_addr host{};
    if (::inet_pton(AF_INET, text.c_str(), &host) != 1 || ntohl(host.s_addr) >> 24 != 127)
        throw std::runtime_error("'" + text + "' is no address of 127.0.0.0/8");
    return ntohl(host.s_addr);
}

loopback_address parse_address(const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos)
        throw std::runtime_error("'" + text + "' is not ADDRESS:PORT");
    return {static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1))),
            parse_host(text.substr(0, colon))};
}

void print(const nlohmann::json& object) {
    std::printf("%s\n", object.dump().c_str());
    std::fflush(stdout);
}

struct fast_options {
    std::string server;
    asking_clients::options clients;
    unsigned warm_up_ms = 300;
    unsigned window_ms = 1000;
    std::vector<pid_t> processes;
};

/// What came in a stretch of time, after the first downloads have got going, and what it cost the server and
/// the clients.
void run_fast(const fast_options& asked) {
    asking_clients::options how = asked.clients;
    how.server = parse_address(asked.server);
    asking_clients clients(how);
    clients.run_for(milliseconds(asked.warm_up_ms));
    const auto before = clients.so_far();
    const double server_before = cpu_seconds_of_all(asked.processes);
    const double own_before = own_cpu_seconds();
    clients.forget_gaps();
    const auto began = clock::now();
    clients.run_for(milliseconds(asked.window_ms));
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    const double worst_gap = std::chrono::duration<double, std::milli>(clients.worst_gap()).count();
    const double own = own_cpu_seconds() - own_before;
    const double server = cpu_seconds_of_all(asked.processes) - server_before;
    const auto& now = clients.so_far();
    print({{"seconds", seconds},
           {"bytes", now.bytes - before.bytes},
           {"responses", now.responses - before.responses},
           {"connections", now.connections - before.connections},
           {"failures", now.failures},
           {"worst_gap_ms", worst_gap},
           {"server_cpu", server},
           {"client_cpu", own}});
}

struct slow_options {
    std::string server;
    std::string path;
    std::string source;
    unsigned pause_ms = 250;
    slow_clients::options clients;
};

/// Until its standard input ends. A line there is answered with what the clients get now.
void run_slow(const slow_options& asked) {
    slow_clients::options how = asked.clients;
    how.server = parse_address(asked.server);
    how.source = asked.source.empty() ? 0 : parse_host(asked.source);
    how.pause = milliseconds(asked.pause_ms);
    how.request = "GET " + asked.path + " HTTP/1.1\r\nHost: main.test\r\n\r\n";
    slow_clients clients(how);
    clients.connect();
    for (;;) {
        clients.read_for(milliseconds(50));
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (::poll(&input, 1, 0) != 1)
            continue;
        char words[256];
        if (::read(STDIN_FILENO, words, sizeof words) <= 0)
            return;
        print({{"asked", clients.asked()},
               {"streaming", clients.streaming()},
               {"ended", clients.ended()},
               {"bytes", clients.received()},
               {"worst_gap_ms", std::chrono::duration<double, std::milli>(clients.worst_gap()).count()},
               {"socket_memory", own_socket_memory()},
               {"client_cpu", own_cpu_seconds()}});
        clients.forget_gaps();
    }
}

struct probe_options {
    std::string server;
    std::string source;
    unsigned seconds = 5;
    unsigned interval_ms = 20;
    unsigned limit_ms = 2000;
    probe_series::options series;
};

void run_probes(const probe_options& asked) {
    probe_series::options how = asked.series;
    how.server = parse_address(asked.server);
    how.source = asked.source.empty() ? 0 : parse_host(asked.source);
    how.interval = milliseconds(asked.interval_ms);
    how.time_limit = milliseconds(asked.limit_ms);
    probe_series series(how);
    series.run_for(std::chrono::seconds(asked.seconds));
    const auto times = series.answered();
    const auto in_milliseconds = [&](double which) -> nlohmann::json {
        // Those without an answer took longer than all others.
        const auto all = static_cast<double>(times.size() + series.timed_out() + series.failed());
        const auto index = static_cast<std::size_t>(which * (all - 1));
        if (index >= times.size())
            return nullptr;
        return static_cast<double>(times[index].count()) / 1e3;
    };
    print({{"answered", times.size()},
           {"timed_out", series.timed_out()},
           {"failed", series.failed()},
           {"p50_ms", in_milliseconds(0.5)},
           {"p99_ms", in_milliseconds(0.99)},
           {"max_ms", in_milliseconds(1)}});
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    using namespace dlhandoff::bench;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM); // whoever measures has gone
    CLI::App app("Load for a server on 127.0.0.0/8; prints JSON");
    app.require_subcommand(1);
    app.option_defaults()->always_capture_default();

    fast_options fast;
    auto* const fast_command = app.add_subcommand("fast", "Clients that ask again and again for one file");
    fast_command->add_option("--server", fast.server, "ADDRESS:PORT")->required();
    fast_command->add_option("--path", fast.clients.path)->required();
    fast_command->add_option("--clients", fast.clients.count)->check(CLI::Range(1, 10000));
    fast_command->add_flag("--https", fast.clients.https);
    fast_command->add_flag("--close", fast.clients.close, "A connection for each download");
    fast_command->add_option("--warm-up", fast.warm_up_ms, "Milliseconds that are not measured");
    fast_command->add_option("--window", fast.window_ms, "Milliseconds that are");
    fast_command->add_option("--process", fast.processes, "Of the server, with all its children: CPU time")
        ->delimiter(',');

    slow_options slow;
    auto* const slow_command =
        app.add_subcommand("slow", "Clients of slow lines, until the standard input ends; a line there is "
                                   "answered with what they get");
    slow_command->add_option("--server", slow.server, "ADDRESS:PORT")->required();
    slow_command->add_option("--path", slow.path)->required();
    slow_command->add_option("--clients", slow.clients.count)->check(CLI::Range(1, 100000));
    slow_command->add_option("--rate", slow.clients.bytes_per_second, "Bytes a second of each");
    slow_command->add_option("--receive-buffer", slow.clients.receive_buffer, "SO_RCVBUF of each");
    slow_command->add_option("--connects", slow.clients.connects_a_second,
                             "New ones a second; 0: all at once");
    slow_command->add_option("--pause", slow.pause_ms, "Milliseconds between two reads of one");
    slow_command->add_option("--source", slow.source, "Their own address");
    slow_command->add_flag("--https", slow.clients.https);

    probe_options probe;
    auto* const probe_command = app.add_subcommand("probe", "A small page, at a steady pace");
    probe_command->add_option("--server", probe.server, "ADDRESS:PORT")->required();
    probe_command->add_option("--path", probe.series.path)->required();
    probe_command->add_option("--seconds", probe.seconds)->check(CLI::Range(1, 200));
    probe_command->add_option("--interval", probe.interval_ms, "Milliseconds")->check(CLI::Range(1, 10000));
    probe_command->add_option("--limit", probe.limit_ms, "Milliseconds until one counts as not answered");
    probe_command->add_option("--source", probe.source, "Its own address");
    probe_command->add_flag("--https", probe.series.https);

    std::string listen;
    std::string folder;
    auto* const serve_command = app.add_subcommand("serve", "The least server: epoll and sendfile, HTTP");
    serve_command->add_option("--listen", listen, "ADDRESS:PORT")->required();
    serve_command->add_option("--root", folder, "What to serve")->required();

    return run_main(app, argc, argv, [&] {
        (void)raise_descriptor_limit();
        if (*fast_command)
            run_fast(fast);
        else if (*slow_command)
            run_slow(slow);
        else if (*probe_command)
            run_probes(probe);
        else
            serve_with_sendfile(parse_address(listen), folder);
    });
}
