#pragma once

#include "engine/event_loop.hpp"
#include "shared/file_descriptor.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/tls_request.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::bench {

/// Clients of slow lines, all in one thread: each reads so much, a few times a second, as its rate allows,
/// out of a receive buffer so small that the server feels it. Nobody waits for a connection or for data: a
/// client that gets nothing is one that the server lets wait.
class slow_clients {
  public:
    struct options {
        loopback_address server;
        unsigned count = 1000;
        unsigned bytes_per_second = 20'000;   ///< each
        int receive_buffer = 16384;           ///< SO_RCVBUF, bytes; the kernel doubles it
        std::uint32_t source = 0;             ///< their own address of 127.0.0.0/8; 0: as the kernel sees fit
        unsigned connects_a_second = 0;       ///< 0: all at once
        std::chrono::milliseconds pause{250}; ///< between two reads of one
        std::string request;                  ///< sent once connected; empty: nothing is sent
        bool https = false; ///< a TLS handshake precedes it; what they get they drop undecrypted
    };
    explicit slow_clients(options asked) : options_(std::move(asked)) {}

    /// Begins to connect all of them, or as many a second as asked for while they are read from.
    void connect();
    /// Reads on for so long.
    void read_for(std::chrono::milliseconds duration);

    /// Those that got something within the last two seconds, or three pauses.
    [[nodiscard]] unsigned streaming() const;
    /// Those whose connection has ended: by the server, since they don't close.
    [[nodiscard]] unsigned ended() const noexcept { return ended_; }
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    /// Those that have sent their request.
    [[nodiscard]] unsigned asked() const noexcept { return asked_; }
    /// The longest that any of those that got something waited for it after it had got something before.
    [[nodiscard]] engine::clock::duration worst_gap() const noexcept { return worst_gap_; }
    void forget_gaps() noexcept { worst_gap_ = {}; }

  private:
    struct client {
        file_descriptor socket;
        std::unique_ptr<tls_request> opening; ///< HTTPS, until the request is sent
        engine::clock::time_point next_read{};
        engine::clock::time_point last_data{};
        /// Until it looks again whether it can ask: doubled each time, so that thousands whom the server lets
        /// wait don't take the CPU from it.
        std::chrono::milliseconds opening_pause{10};
        bool asked = false;
    };
    void connect_more(engine::clock::time_point now);
    void read(client& one, engine::clock::time_point now);
    bool ask(client& one);
    void end(client& one);

    options options_;
    std::vector<client> clients_;
    engine::clock::time_point began_{};
    unsigned connected_ = 0;
    unsigned asked_ = 0;
    unsigned ended_ = 0;
    engine::clock::duration worst_gap_{};
    std::uint64_t received_ = 0;
};

} // namespace dlhandoff::bench
