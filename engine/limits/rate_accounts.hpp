#pragma once

#include "engine/limits/fair_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlhandoff::engine {

struct rate_share;

/// A class of downloads, as bandwidth keeps it: its children in the tree are its clients' shares.
struct rate_class : fair_node {
    std::string name;
    std::size_t index = 0;
    std::uint64_t rate = 0;        ///< bytes a second, as configured; 0: none
    std::uint64_t client_rate = 0; ///< the same, of each client's share
    double fraction = 1;           ///< of `rate`: what this engine may use
    std::size_t clients = 0;       ///< those with busy downloads (bandwidth::entry)
};

/// A client over all classes. It is outside the tree: its bucket bounds its shares together.
struct rate_client {
    std::string key;
    token_bucket bucket;
    double virtual_time = 0; ///< for its shares, as in the tree
    clock::time_point fraction_asked{};
    std::vector<std::unique_ptr<rate_share>> shares;
    std::size_t downloads = 0; ///< busy ones
};

/// A client's downloads in a class; they are its children in the tree.
struct rate_share : fair_node {
    rate_client* client = nullptr;
    double client_tag = 0;     ///< among the client's shares, as `tag` is among the class's
    std::size_t entries = 0;   ///< the share is destroyed with its last entry
    std::size_t downloads = 0; ///< busy ones

    [[nodiscard]] rate_class& its_class() const noexcept { return static_cast<rate_class&>(*parent); }
};

} // namespace dlhandoff::engine
