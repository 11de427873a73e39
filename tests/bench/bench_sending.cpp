/// What sending costs: the engine beside a plain sendfile loop, over loopback, to clients that read as fast
/// as they can. All are measured in turns, in the same minutes, since the machine's speed changes more than
/// they differ.
///
/// Clients drop what they read without copying it (MSG_TRUNC, tcp(7)), so that the sender is the bottleneck
/// and whatever it does besides sending shows.
///
/// CPU time is a process's (getrusage(2)). Over loopback the kernel does its network work on the account of
/// whoever happens to call it: what a server has queued is transmitted when the client's recv() acknowledges
/// something, and the client pays. The deeper a server queues, the more of its work the clients pay for.
/// Hence two more figures: sender and clients together, which leaves nothing out; and a plain loop with the
/// engine's least TCP_NOTSENT_LOWAT, whose share of the work is the engine's.
#include "engine/engine.hpp"
#include "engine/transfer.hpp"
#include "tests/bench/bench_main.hpp"
#include "tests/bench/cpu_time.hpp"
#include "tests/bench/fast_clients.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/median.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/sample.hpp"
#include "tests/bench/sendfile_loop.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
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
    double sender; ///< CPU seconds per GB
    double both;   ///< of sender and clients together
    double speed;  ///< GB/s
};

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

enum class contestant { engine, sendfile_loop, sendfile_loop_with_low_water };

cost measure(contestant who, const workload& work, const sample& file, bool copy) {
    const loopback_listener listener;
    role server("server", [&](channel& parent) {
        auto connections = listener.accept(work.clients);
        parent.tell(clock::now());
        const double before = own_cpu_seconds();
        if (who == contestant::engine)
            send_with_engine(std::move(connections), file, work.times);
        else
            send_with_sendfile_loop(std::move(connections), typical_head, file.descriptor(), file.size(),
                                    work.times, who == contestant::sendfile_loop ? 0 : 128 * 1024);
        parent.tell(own_cpu_seconds() - before);
    });
    role clients("clients", [&](channel& parent) {
        const std::uint64_t received = read_to_the_end(listener.port(), work.clients, copy);
        parent.tell(clock::now());
        parent.tell(received);
        parent.tell(own_cpu_seconds());
    });
    const auto began = server.talk().hear<clock::time_point>();
    const auto ended = clients.talk().hear<clock::time_point>();
    const auto received = clients.talk().hear<std::uint64_t>();
    if (received != work.bytes() + work.clients * typical_head.size())
        throw std::runtime_error("the clients got " + std::to_string(received) + " bytes, not all");
    const double gigabytes = static_cast<double>(work.bytes()) * 1e-9;
    const double sending = server.talk().hear<double>() / gigabytes;
    const double reading = clients.talk().hear<double>() / gigabytes;
    return {sending, sending + reading, gigabytes / std::chrono::duration<double>(ended - began).count()};
}

void compare(unsigned clients, const options& asked, const sample& file) {
    const double each = asked.gigabytes * 1e9 / clients / static_cast<double>(file_size);
    const workload work{clients, std::clamp<std::uint64_t>(static_cast<std::uint64_t>(each), 1, 1000)};
    std::array<contestant, 3> turns{contestant::engine, contestant::sendfile_loop,
                                    contestant::sendfile_loop_with_low_water};
    std::array<std::vector<cost>, 3> costs;
    for (unsigned round = 0; round < asked.rounds; ++round) {
        for (const contestant who : turns)
            costs[static_cast<std::size_t>(who)].push_back(measure(who, work, file, asked.copy));
        std::rotate(turns.begin(), turns.begin() + 1, turns.end()); // another goes first
    }
    const std::vector<cost>& engine = costs[0];
    const std::vector<cost>& loop = costs[1];
    const std::vector<cost>& careful_loop = costs[2];
    const auto print = [&](const char* what, double cost::*figure) {
        std::printf("%7u  %-28s  %7.4f  %8.4f %6.2f  %8.4f %6.2f\n", clients, what, median_of(engine, figure),
                    median_of(loop, figure), median_ratio(engine, loop, figure),
                    median_of(careful_loop, figure), median_ratio(engine, careful_loop, figure));
    };
    print("CPU s/GB, sender", &cost::sender);
    print("CPU s/GB, sender and clients", &cost::both);
    print("GB/s", &cost::speed);
    std::fflush(stdout);
}

void run(const options& asked) {
    const sample file(file_size);
    std::printf("%u rounds of %.1f GB each; medians\n", asked.rounds, asked.gigabytes);
    std::printf("%54s  %15s\n", "plain loop", "with low water");
    std::printf("clients                                 engine           ratio            ratio\n");
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
    return dlhandoff::bench::run_main(app, argc, argv, [&] { dlhandoff::bench::run(asked); });
}
