#pragma once

#include "tests/bench/loopback.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace dlhandoff::bench {

/// One GET on a connection of its own, as a visitor's next click: how long it took from connecting to the end
/// of the answer. Nothing if the answer, with status 200, was not complete in time.
[[nodiscard]] std::optional<std::chrono::microseconds>
probe(const loopback_address& server, const std::string& path, std::chrono::milliseconds time_limit);

/// The same over HTTPS.
[[nodiscard]] std::optional<std::chrono::microseconds>
probe_tls(const loopback_address& server, const std::string& path, std::chrono::milliseconds time_limit);

} // namespace dlhandoff::bench
