#pragma once

#include "dlctl/rendering.hpp"

namespace dlhandoff::test {

/// Two managers, of which one is silent, and their sums.
[[nodiscard]] dlctl::status_answer sample_status();
/// Four transfers: fast, slow, queued, done but for the client's close.
[[nodiscard]] dlctl::list_answer sample_list();
/// Names made to harm a terminal.
[[nodiscard]] transfer_listing hostile_transfer();

/// The whole answer to a request, as the service sends it.
[[nodiscard]] std::string encoded(const dlctl::status_answer& status);
[[nodiscard]] std::string encoded(const dlctl::list_answer& transfers);

} // namespace dlhandoff::test
