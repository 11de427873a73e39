#pragma once

#include "engine/tls/tls_record.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dlhandoff::engine {

/// Where one thread seals and opens the records of all its connections.
struct tls_workplace {
    /// The most records sealed and sent with one system call.
    static constexpr std::size_t batch = 16;

    /// Throws std::bad_alloc.
    tls_workplace() : records(batch * (max_record_plaintext + 64)) {}
    record_cipher sealing;
    record_cipher opening;
    std::vector<std::uint8_t> records; ///< room for a batch to the client, or one record from it
};

} // namespace dlhandoff::engine
