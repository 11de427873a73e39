/// What a slow download costs in memory: the manager's own, and the kernel's for its TCP connection.
///
/// A process with the engine sends to many clients of 20 kB/s. After a few downloads, so that its code has
/// been paged in, its memory is measured without and with all of them.
///
/// Over loopback the clients' receive queues are on the same machine and in the same total
/// (/proc/net/sockstat), which a real server does not pay for: so the manager's sockets are also counted
/// alone (SO_MEMINFO). A bit of what they hold would be on the line instead.
#include "engine/engine.hpp"
#include "tests/bench/bench_main.hpp"
#include "tests/bench/descriptor_limit.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/memory_use.hpp"
#include "tests/bench/role.hpp"
#include "tests/bench/sample.hpp"
#include "tests/bench/slow_clients.hpp"

#include <cstdio>
#include <exception>
#include <thread>

namespace dlhandoff::bench {
namespace {

using engine::clock;

struct memory {
    std::int64_t own;
    std::int64_t sockets;
};

/// Sends the file to whoever connects, and tells its memory when asked.
void play_manager(channel& parent, const loopback_listener& listener, const sample& file, unsigned warm_up,
                  unsigned clients, bool tls) {
    const tls_session keys = made_up_session();
    engine::event_loop loop;
    engine::engine sender(loop, {}, {});
    const auto accept_and_begin = [&](unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            std::vector<file_descriptor> descriptors = listener.accept(1);
            descriptors.push_back(file_descriptor::duplicate_of(file.descriptor()));
            auto ready = sender.prepare(typical_offer(file.identity(), 1, tls ? &keys : nullptr),
                                        std::move(descriptors));
            if (const auto* const reason = std::get_if<refusal>(&ready))
                throw std::runtime_error("refused: " + std::string(name(*reason)));
            sender.begin(std::get<engine::engine::prepared>(std::move(ready)));
        }
    };
    const auto send_until_asked = [&] {
        while (!parent.heard()) {
            sender.run_turns();
            loop.run_once(std::min(sender.next_deadline(), clock::now() + std::chrono::milliseconds(50)));
        }
        static_cast<void>(parent.hear<char>());
    };
    accept_and_begin(warm_up);
    send_until_asked();
    sender.end_all(engine::outcome::cancelled);
    parent.tell(memory{own_memory(), own_socket_memory()});
    accept_and_begin(clients);
    send_until_asked();
    parent.tell(memory{own_memory(), own_socket_memory()});
}

struct reading {
    unsigned streaming;
    std::uint64_t received;
    std::int64_t socket_memory;
};

struct options {
    slow_clients::options clients;
    unsigned seconds = 15;
    double file_megabytes = 64;
    bool tls = false;
};

void play_clients(channel& parent, slow_clients::options asked, unsigned warm_up, unsigned seconds) {
    const unsigned all = asked.count;
    {
        asked.count = warm_up;
        slow_clients few(asked);
        few.connect();
        few.read_for(std::chrono::seconds(1));
        parent.tell('w');
        static_cast<void>(parent.hear<char>());
    }
    asked.count = all;
    slow_clients many(asked);
    many.connect();
    many.read_for(std::chrono::seconds(seconds));
    parent.tell(reading{many.streaming(), many.received(), own_socket_memory()});
    while (!parent.heard())
        many.read_for(std::chrono::milliseconds(100));
}

void need_descriptors(unsigned needed) {
    if (const rlim_t limit = raise_descriptor_limit(); limit < needed)
        throw std::runtime_error("RLIMIT_NOFILE is " + std::to_string(limit) + ": ask for fewer clients");
}

void run(options asked) {
    need_descriptors(asked.clients.count + 100);
    const unsigned warm_up = std::min(50U, asked.clients.count);
    const sample file(static_cast<std::uint64_t>(asked.file_megabytes * 1e6));
    const loopback_listener listener;
    asked.clients.server.port = listener.port();
    role manager("manager", [&](channel& parent) {
        play_manager(parent, listener, file, warm_up, asked.clients.count, asked.tls);
    });
    role clients("clients",
                 [&](channel& parent) { play_clients(parent, asked.clients, warm_up, asked.seconds); });

    static_cast<void>(clients.talk().hear<char>());
    manager.talk().tell('m');
    const auto before = manager.talk().hear<memory>();
    const std::int64_t tcp_before = kernel_tcp_memory();
    clients.talk().tell('g');
    const auto read = clients.talk().hear<reading>();
    const std::int64_t tcp_after = kernel_tcp_memory();
    manager.talk().tell('m');
    const auto after = manager.talk().hear<memory>();
    clients.talk().tell('e');

    const double count = asked.clients.count;
    const auto per_download = [&](std::int64_t bytes) { return static_cast<double>(bytes) / count; };
    std::printf("%u %s downloads of %u bytes/s, SO_RCVBUF %d, after %u s: %u streaming, %.0f bytes/s each\n",
                asked.clients.count, asked.tls ? "TLS" : "plain", asked.clients.bytes_per_second,
                asked.clients.receive_buffer, asked.seconds, read.streaming,
                static_cast<double>(read.received) / asked.seconds / count);
    std::printf("manager's own memory (PSS): %.2f MB before, %.2f MB with all: %.0f bytes per download\n",
                static_cast<double>(before.own) * 1e-6, static_cast<double>(after.own) * 1e-6,
                per_download(after.own - before.own));
    std::printf("kernel TCP memory per download: manager's sockets %.1f kB, clients' %.1f kB,"
                " whole machine's (both, and other programs') %.1f kB\n",
                per_download(after.sockets - before.sockets) / 1e3, per_download(read.socket_memory) / 1e3,
                per_download(tcp_after - tcp_before) / 1e3);
}

} // namespace
} // namespace dlhandoff::bench

int main(int argc, char** argv) {
    dlhandoff::bench::options asked;
    CLI::App app("Memory of many slow downloads");
    app.add_option("--clients", asked.clients.count, "How many at once")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_option("--rate", asked.clients.bytes_per_second, "Bytes a second of each")->capture_default_str();
    app.add_option("--receive-buffer", asked.clients.receive_buffer,
                   "SO_RCVBUF of each; 0: as the kernel sees fit")
        ->capture_default_str();
    app.add_option("--seconds", asked.seconds, "How long they read before memory is measured")
        ->check(CLI::Range(1, 200))
        ->capture_default_str();
    app.add_option("--file-megabytes", asked.file_megabytes, "Size of the download")
        ->check(CLI::Range(1.0, 1e4))
        ->capture_default_str();
    app.add_flag("--tls", asked.tls, "In TLS records, which the clients drop as they are");
    return dlhandoff::bench::run_main(app, argc, argv, [&] { dlhandoff::bench::run(asked); });
}
