#pragma once

#include "shared/file_descriptor.hpp"
#include "tests/bench/loopback.hpp"
#include "tests/bench/tls_request.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::bench {

/// Clients that ask for the same file again and again, as fast as it comes: on the same connection as long as
/// the server keeps it, on a new one else. All in one thread.
///
/// They are light, so that the server is the bottleneck: bodies are dropped without copying them (MSG_TRUNC,
/// tcp(7)). Over HTTPS only the first record of a connection is decrypted, for the response's head; of the
/// others they look at the headers, which say how much is in them (RFC 8446, 5.2: no padding is assumed, and
/// 17 bytes for tag and content type).
class asking_clients {
  public:
    struct options {
        loopback_address server;
        unsigned count = 16;
        std::string path;
        bool https = false;
        bool close = false; ///< ask for an end of the connection after each response
    };
    struct counts {
        std::uint64_t bytes = 0;     ///< of responses; over HTTPS with Connection: close, on the wire
        std::uint64_t responses = 0; ///< that came whole
        std::uint64_t connections = 0;
        std::uint64_t failures = 0; ///< resets, early ends, and what is not 200
    };
    explicit asking_clients(options asked);

    /// Throws std::runtime_error if nothing comes for 10 s, or more fails than succeeds.
    void run_for(std::chrono::milliseconds duration);
    [[nodiscard]] const counts& so_far() const noexcept { return counts_; }
    /// The longest that any of them has got nothing since forget_gaps(), or waits still.
    [[nodiscard]] std::chrono::nanoseconds worst_gap() const;
    void forget_gaps();

  private:
    enum class state { asks, awaits_head, drops_body, drops_records, drops_all };
    struct client {
        file_descriptor socket;
        std::unique_ptr<tls_request> tls;
        state now = state::asks;
        std::string head;
        std::uint64_t left = 0;  ///< of the response
        std::uint64_t whole = 0; ///< response, head and body; 0: not known yet
        std::uint64_t came = 0;  ///< bytes of this response
        std::array<unsigned char, 5> record{};
        std::size_t record_came = 0; ///< of its header
        std::size_t record_left = 0; ///< of its content
        std::chrono::steady_clock::time_point last_event{};
    };
    void connect(unsigned number);
    void start_again(unsigned number, bool failed);
    void on_event(unsigned number);
    void ask(unsigned number);
    void read_head(unsigned number);
    void drop(unsigned number);
    void drop_records(unsigned number);
    void end_response(unsigned number);

    options options_;
    std::string request_;
    file_descriptor epoll_;
    std::vector<client> clients_;
    counts counts_;
    std::chrono::nanoseconds worst_gap_{};
};

} // namespace dlhandoff::bench
