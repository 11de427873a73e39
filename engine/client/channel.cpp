#include "engine/client/channel.hpp"

namespace dlhandoff::engine {

channel::pointer channel::start(int /*socket*/) {
    return nullptr;
}

bool channel::edge_will_come(int /*socket*/) const noexcept {
    return true;
}

bool channel::is_all_in_tcp(const client_socket& /*socket*/, std::uint64_t /*position*/) const noexcept {
    return true;
}

void channel::forget_keys(channel_workplace& /*place*/) const noexcept {}

} // namespace dlhandoff::engine
