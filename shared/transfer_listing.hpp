#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dlhandoff {

/// What a listing says about a transfer under way. Text is as httpd has it: bytes, usually UTF-8.
struct transfer_listing {
    std::string id;      ///< as in the transfer log
    std::string manager; ///< "m1"
    std::string state;   ///< queued, sending, reading, delivering, lingering
    std::string client;
    std::string client_key;
    std::string transfer_class;
    std::string vhost;
    std::string uri;
    std::uint64_t expected = 0; ///< response bytes, head and body, before TLS; so are the next two
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::chrono::milliseconds age{};    ///< since the claim
    std::chrono::milliseconds queued{}; ///< of that, the time spent waiting
    std::uint64_t bytes_per_second = 0; ///< delivered, on average since its turn
    std::string tls;                    ///< as in the transfer log; empty for plain TCP
    friend bool operator==(const transfer_listing&, const transfer_listing&) = default;
};

} // namespace dlhandoff
