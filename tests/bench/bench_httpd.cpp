/// What handing off does for httpd: a private one with mod_dlhandoff and dlmanagerd, on loopback.
///
/// 1. How long a worker is held for a download that it hands off to the service: from putting the offer
/// together to
///    the detached descriptor, measured in this process with the module's own client library; with an idle
///    manager, and with one that is sending to fast clients meanwhile.
/// 2. Starvation: few workers, many slow downloads, and somebody who wants a small page: its time while httpd
/// serves
///    the downloads itself (stock), and with the embedded manager and the service.
#include "mod_dlhandoff/manager_client.hpp"
#include "tests/bench/bench_main.hpp"
#include "tests/bench/descriptor_limit.hpp"
#include "tests/bench/fast_clients.hpp"
#include "tests/bench/http_probe.hpp"
#include "tests/bench/httpd_address.hpp"
#include "tests/bench/median.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/sample.hpp"
#include "tests/bench/slow_clients.hpp"
#include "tests/integration/harness/private_httpd.hpp"
#include "tests/integration/harness/private_manager.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <thread>

namespace dlhandoff::bench {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::microseconds;

struct options {
    unsigned handoffs = 5000;
    unsigned fast_clients = 16;
    std::string mpm = "prefork";
    unsigned workers = 50;
    slow_clients::options clients;
    unsigned seconds = 20;
    std::vector<std::string> managers{"stock", "embedded", "service"};
    unsigned warm_up = 5;
};

/// What a detached connection's descriptor becomes: a socket whose other end is closed.
file_descriptor make_dead_socket() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw_errno("socketpair");
    ::close(ends[1]);
    return file_descriptor(ends[0]);
}

/// A worker that hands off one download after the other.
class worker {
  public:
    explicit worker(const std::string& manager)
        : client_(manager, std::chrono::milliseconds(250)), dead_(make_dead_socket()) {}

    /// From the offer to the detached connection.
    microseconds hand_off(const file_descriptor& connection, const sample& file, std::uint64_t times) {
        const auto began = clock::now();
        offer offered = typical_offer(file.identity(), times);
        const int descriptors[] = {connection.get(), file.descriptor()};
        const auto result = client_.hand_off(offered, descriptors);
        ::dup3(dead_.get(), connection.get(), O_CLOEXEC);
        const auto held = std::chrono::duration_cast<microseconds>(clock::now() - began);
        if (!result.claimed())
            throw std::runtime_error("the manager did not claim an offer");
        return held;
    }

  private:
    httpd::manager_client client_;
    file_descriptor dead_;
};

void measure_handoffs(worker& one, const char* what, unsigned count) {
    const sample file(100'000);
    const loopback_listener listener;
    role clients("clients", [&](channel& parent) {
        for (unsigned i = 0; i < count; ++i) {
            static_cast<void>(read_to_the_end(listener.port(), 1, false));
            parent.tell('r');
        }
    });
    std::vector<microseconds> held;
    for (unsigned i = 0; i < count; ++i) {
        const auto connection = listener.accept(1);
        held.push_back(one.hand_off(connection[0], file, 1));
        static_cast<void>(clients.talk().hear<char>()); // one at a time
    }
    std::sort(held.begin(), held.end());
    std::printf("%-44s %7ld %7ld %7ld %7ld\n", what, quantile(held, 0.5).count(), quantile(held, 0.9).count(),
                quantile(held, 0.99).count(), held.back().count());
    std::fflush(stdout);
}

void measure_all_handoffs(const options& asked) {
    const test::temporary_directory directory;
    test::private_manager manager(directory);
    manager.start();
    std::printf("%u handoffs, microseconds that a worker is held        p50     p90     p99     max\n",
                asked.handoffs);
    worker one(manager.socket());
    measure_handoffs(one, "manager idle", asked.handoffs);
    if (asked.fast_clients > 0) {
        const sample file(64'000'000);
        const loopback_listener listener;
        role others("fast clients", [&](channel&) {
            static_cast<void>(read_to_the_end(listener.port(), asked.fast_clients, false));
        });
        for (const file_descriptor& connection : listener.accept(asked.fast_clients))
            one.hand_off(connection, file, 1000);
        const std::string what = "manager sends to " + std::to_string(asked.fast_clients) + " fast clients";
        measure_handoffs(one, what.c_str(), asked.handoffs);
    }
}

std::string configuration_of(const std::string& manager, const std::string& socket) {
    if (manager == "stock")
        return "DLHandoff Off\n";
    return "DLHandoff On\nDLHandoffMinSize 0\nDLHandoffManager " +
           (manager == "service" ? "unix:" + socket : "embedded") + '\n';
}

/// What became of the probes of one kind.
class probes {
  public:
    void add(std::optional<microseconds> took) {
        if (took)
            answered_.push_back(*took);
        else
            ++timed_out_;
    }
    void print(const std::string& manager, const char* kind, unsigned streaming) {
        std::sort(answered_.begin(), answered_.end());
        std::printf("%-10s %9u  %-5s %9zu %9u", manager.c_str(), streaming, kind, answered_.size(),
                    timed_out_);
        if (!answered_.empty())
            std::printf(" %8.2f %8.2f %8.2f", static_cast<double>(quantile(answered_, 0.5).count()) / 1e3,
                        static_cast<double>(quantile(answered_, 0.99).count()) / 1e3,
                        static_cast<double>(answered_.back().count()) / 1e3);
        std::printf("\n");
        std::fflush(stdout);
    }

  private:
    std::vector<microseconds> answered_;
    unsigned timed_out_ = 0;
};

/// Probes every 20 ms, one after the other.
void measure_probes(const options& asked, const std::string& manager_kind) {
    const test::temporary_directory directory;
    test::private_manager manager(directory);
    if (manager_kind == "service")
        manager.start();
    test::httpd_options httpd_options;
    httpd_options.mpm = asked.mpm;
    constexpr unsigned threads = 25;
    httpd_options.threads = threads;
    httpd_options.processes =
        static_cast<int>(asked.mpm == "prefork" ? asked.workers : std::max(1U, asked.workers / threads));
    httpd_options.configuration = configuration_of(manager_kind, manager.socket());
    if (asked.clients.https)
        httpd_options.configuration += test::https_configuration(directory);
    test::private_httpd httpd(directory, httpd_options);
    const std::string big = directory / "htdocs/big";
    std::ofstream(big).close();
    std::filesystem::resize_file(big, 1'000'000'000);
    httpd.start();

    role clients("slow clients", [&](channel& parent) {
        slow_clients::options all = asked.clients;
        all.server = address_of(httpd);
        if (all.https)
            all.server.port = test::https_port;
        all.request = "GET /big HTTP/1.1\r\nHost: main.test\r\n\r\n";
        slow_clients many(all);
        many.connect();
        many.read_for(std::chrono::seconds(asked.warm_up)); // all have come, and workers have seen them
        parent.tell('g');
        while (!parent.heard())
            many.read_for(std::chrono::milliseconds(100));
        static_cast<void>(parent.hear<char>()); // unread, it would make the answer a reset
        parent.tell(many.streaming());
    });
    static_cast<void>(clients.talk().hear<char>());
    probes plain;
    probes tls;
    const auto until = clock::now() + std::chrono::seconds(asked.seconds);
    for (auto next = clock::now(); next < until;
         next = std::max(next + std::chrono::milliseconds(20), clock::now())) {
        std::this_thread::sleep_until(next);
        plain.add(probe(address_of(httpd), "/ready", std::chrono::seconds(1)));
        if (asked.clients.https) {
            loopback_address https = address_of(httpd);
            https.port = test::https_port;
            tls.add(probe_tls(https, "/ready", std::chrono::seconds(1)));
        }
    }
    clients.talk().tell('e');
    const auto streaming = clients.talk().hear<unsigned>();
    plain.print(manager_kind, "HTTP", streaming);
    if (asked.clients.https)
        tls.print(manager_kind, "HTTPS", streaming);
}

void run(const options& asked) {
    (void)raise_descriptor_limit();
    if (asked.handoffs > 0)
        measure_all_handoffs(asked);
    if (asked.seconds == 0)
        return;
    std::printf(
        "%s, %u workers, %u %s downloads at %u bytes/s, a probe every 20 ms for %u s, at most 1 s each\n",
        asked.mpm.c_str(), asked.workers, asked.clients.count, asked.clients.https ? "HTTPS" : "HTTP",
        asked.clients.bytes_per_second, asked.seconds);
    std::printf("manager    streaming  probe  answered timed out   p50 ms   p99 ms   max ms\n");
    for (const std::string& manager : asked.managers)
        measure_probes(asked, manager);
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    dlhandoff::bench::options asked;
    asked.clients.count = 2000;
    CLI::App app("Workers held by a handoff; httpd under many slow downloads");
    app.add_option("--handoffs", asked.handoffs, "How many to measure; 0: none")
        ->check(CLI::Range(0, 1000000));
    app.add_option("--fast-clients", asked.fast_clients, "That the manager sends to meanwhile, second time");
    app.add_option("--mpm", asked.mpm)->check(CLI::IsMember({"prefork", "worker", "event"}));
    app.add_option("--workers", asked.workers, "MaxRequestWorkers")->check(CLI::Range(1, 1000));
    app.add_option("--clients", asked.clients.count, "Slow downloads")->check(CLI::Range(1, 50000));
    app.add_flag("--https", asked.clients.https, "Slow downloads over HTTPS; probes over HTTP and HTTPS");
    app.add_option("--warm-up", asked.warm_up, "Seconds before the first probe")->check(CLI::Range(1, 100));
    app.add_option("--rate", asked.clients.bytes_per_second, "Bytes a second of each");
    app.add_option("--seconds", asked.seconds, "How long to probe; 0: not at all")->check(CLI::Range(0, 200));
    app.add_option("--managers", asked.managers, "stock, embedded, service")
        ->delimiter(',')
        ->check(CLI::IsMember({"stock", "embedded", "service"}));
    app.option_defaults()->always_capture_default();
    return dlhandoff::bench::run_main(app, argc, argv, [&] { dlhandoff::bench::run(asked); });
}
