#pragma once

#include "dlmanagerd/engine/event_loop.hpp"
#include "shared/file_descriptor.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/tls_request.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::bench {

/// Clients of slow lines, all in one thread: each reads so much, four times a second, as its rate allows, out
/// of a receive buffer so small that the server feels it. Nobody waits for a connection or for data: a client
/// that gets nothing is one that the server lets wait.
class slow_clients {
  public:
    struct options {
        loopback_address server;
        unsigned count = 1000;
        unsigned bytes_per_second = 20'000; ///< each
        int receive_buffer = 16384;         ///< SO_RCVBUF, bytes; the kernel doubles it
        std::string request;                ///< sent once connected; empty: nothing is sent
        bool https = false; ///< a TLS handshake precedes it; what they get they drop undecrypted
    };
    explicit slow_clients(options asked) : options_(std::move(asked)) {}

    /// Begins to connect all of them.
    void connect();
    /// Reads on for so long.
    void read_for(std::chrono::milliseconds duration);

    /// Those that got something within the last two seconds.
    [[nodiscard]] unsigned streaming() const;
    /// Those whose connection has ended: by the server, since they don't close.
    [[nodiscard]] unsigned ended() const noexcept { return ended_; }
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }

  private:
    struct client {
        file_descriptor socket;
        std::unique_ptr<tls_request> opening; ///< HTTPS, until the request is sent
        engine::clock::time_point next_read{};
        engine::clock::time_point last_data{};
        bool asked = false;
    };
    static constexpr std::chrono::milliseconds pause{250};
    static constexpr std::chrono::milliseconds opening_pause{10};
    void read(client& one, engine::clock::time_point now);
    bool ask(client& one);
    void end(client& one);

    options options_;
    std::vector<client> clients_;
    unsigned ended_ = 0;
    std::uint64_t received_ = 0;
};

} // namespace dlhandoff::bench
