/// What HTTPS downloads cost a server, over the whole path: httpd with mod_dlhandoff and dlmanagerd beside
/// nginx and httpd alone, on loopback, in turns, since the machine's speed changes more than they differ.
///
/// Clients do a TLS handshake and ask for a file; the ciphertext they drop without copying it (MSG_TRUNC,
/// tcp(7)), so that the server is the bottleneck. CPU time is that of all processes of a server. What
/// bench_sending says about loopback holds here too: the deeper a server queues, the more of its sending is
/// on the clients' account. Hence the second figure, of server and clients together.
#include "tests/bench/bench_main.hpp"
#include "tests/bench/cpu_time.hpp"
#include "tests/bench/fast_clients.hpp"
#include "tests/bench/median.hpp"
#include "tests/bench/private_nginx.hpp"
#include "tests/bench/role.hpp"
#include "tests/integration/harness/documents.hpp"
#include "tests/integration/harness/private_httpd.hpp"
#include "tests/integration/harness/private_manager.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>

namespace dlhandoff::bench {
namespace {

using clock = std::chrono::steady_clock;

struct options {
    unsigned clients = 16;
    unsigned rounds = 5;
    std::uint64_t file_megabytes = 64;
    std::string nginx_workers = "1";
    std::vector<std::string> servers{"dlhandoff", "nginx", "httpd"};
};

struct cost {
    double server = 0; ///< CPU seconds per GB: the process that sends
    double others = 0; ///< of which httpd's, where the manager sends
    double both = 0;   ///< of all processes of the server and the clients together
    double speed = 0;  ///< GB/s
};

struct contestant {
    std::string name;
    loopback_address address;
    std::string path;
    std::function<double()> sender_cpu;
    std::function<double()> others_cpu;
    std::vector<cost> rounds{};
};

struct received {
    std::uint64_t bytes;
    double cpu;
};

void measure(contestant& one, const options& asked) {
    const double sender = one.sender_cpu();
    const double others = one.others_cpu();
    const auto began = clock::now();
    role clients("clients", [&](channel& parent) {
        const std::uint64_t bytes = download_over_tls(
            one.address, asked.clients,
            "GET " + one.path + " HTTP/1.1\r\nHost: main.test\r\nConnection: close\r\n\r\n");
        parent.tell(received{bytes, own_cpu_seconds()});
    });
    const auto got = clients.talk().hear<received>();
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    const double gigabytes = static_cast<double>(asked.clients * asked.file_megabytes) * 1e-3;
    if (static_cast<double>(got.bytes) < gigabytes * 1e9)
        throw std::runtime_error(one.name + " sent " + std::to_string(got.bytes) + " bytes, not all");
    cost now;
    now.server = (one.sender_cpu() - sender) / gigabytes;
    now.others = (one.others_cpu() - others) / gigabytes;
    now.both = now.server + now.others + got.cpu / gigabytes;
    now.speed = gigabytes / seconds;
    one.rounds.push_back(now);
}

void print(const contestant& one, const contestant& against) {
    std::printf("%-10s %8.3f %8.3f %8.3f %8.2f   %5.2f\n", one.name.c_str(),
                median_of(one.rounds, &cost::server), median_of(one.rounds, &cost::others),
                median_of(one.rounds, &cost::both), median_of(one.rounds, &cost::speed),
                median_ratio(one.rounds, against.rounds, &cost::server));
}

void run(const options& asked) {
    const test::temporary_directory directory;
    test::private_manager manager(directory);
    manager.start();
    test::httpd_options how;
    how.configuration = test::https_configuration(directory) +
                        "DLHandoff On\nDLHandoffMinSize 0\nDLHandoffManager unix:" + manager.socket() +
                        "\n<Location /alone>\nDLHandoff Off\n</Location>\n";
    test::private_httpd httpd(directory, how);
    directory.make_directory("htdocs/alone");
    test::make_document(directory / "htdocs/file", asked.file_megabytes * 1'000'000);
    std::filesystem::create_hard_link(directory / "htdocs/file", directory / "htdocs/alone/file");
    httpd.start();

    in_addr host{};
    ::inet_pton(AF_INET, httpd.address().c_str(), &host);
    const loopback_address https{test::https_port, ntohl(host.s_addr)};
    const auto httpd_cpu = [&] { return cpu_seconds_of(httpd.pid()); };
    const auto nothing = [] { return 0.0; };
    std::unique_ptr<private_nginx> nginx;
    std::vector<contestant> contestants;
    for (const std::string& name : asked.servers)
        if (name == "dlhandoff") {
            contestants.push_back(
                {name, https, "/file", [&] { return cpu_seconds_of(manager.pid()); }, httpd_cpu});
        } else if (name == "httpd") {
            contestants.push_back({name, https, "/alone/file", httpd_cpu, nothing});
        } else if (private_nginx::installed()) {
            nginx = std::make_unique<private_nginx>(directory, httpd.address(), asked.nginx_workers);
            contestants.push_back({name,
                                   {nginx->port(), https.host},
                                   "/file",
                                   [&] { return cpu_seconds_of(nginx->pid()); },
                                   nothing});
        } else {
            std::printf("nginx is not installed: left out\n");
        }
    for (unsigned round = 0; round < asked.rounds; ++round) {
        for (std::size_t i = 0; i < contestants.size(); ++i)
            measure(contestants[(round + i) % contestants.size()], asked); // another goes first
    }
    std::printf("%u rounds, %u clients, %.2f GB each; TLS 1.3, AES-256-GCM; CPU s/GB and GB/s, medians\n",
                asked.rounds, asked.clients,
                static_cast<double>(asked.clients * asked.file_megabytes) * 1e-3);
    const auto* against = &contestants.back();
    for (const contestant& one : contestants)
        if (one.name == "nginx")
            against = &one;
    std::printf("server       sender    httpd +clients     GB/s   sender's ratio to %s's\n",
                against->name.c_str());
    for (const contestant& one : contestants)
        print(one, *against);
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    dlhandoff::bench::options asked;
    CLI::App app("HTTPS downloads: CPU seconds per GB of dlmanagerd, nginx and httpd");
    app.add_option("--clients", asked.clients, "How many at once")->check(CLI::Range(1, 1000));
    app.add_option("--rounds", asked.rounds, "Measurements of each")->check(CLI::Range(1, 1000));
    app.add_option("--file-megabytes", asked.file_megabytes, "What each client downloads")
        ->check(CLI::Range(1, 10000));
    app.add_option("--nginx-workers", asked.nginx_workers, "Its worker_processes: a number, or auto");
    app.add_option("--servers", asked.servers, "dlhandoff, nginx, httpd")
        ->delimiter(',')
        ->check(CLI::IsMember({"dlhandoff", "nginx", "httpd"}));
    app.option_defaults()->always_capture_default();
    return dlhandoff::bench::run_main(app, argc, argv, [&] { dlhandoff::bench::run(asked); });
}
