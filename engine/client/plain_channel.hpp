#pragma once

#include "engine/client/channel.hpp"

namespace dlhandoff::engine {

/// Sends the response's bytes unchanged over TCP: memory with send(2), files by file_sender. It has no state,
/// so a single one serves all connections, on any thread.
class plain_channel final : public channel {
  public:
    /// The one that all connections use.
    [[nodiscard]] static pointer shared() noexcept;

    [[nodiscard]] std::uint64_t room(client_socket& socket) noexcept override;
    [[nodiscard]] given give(int socket, std::span<const part> parts, channel_workplace& place) override;
    [[nodiscard]] heard hear(int socket, connection_end after, channel_workplace& place) override;
    [[nodiscard]] std::uint64_t wire_bytes(int /*socket*/, std::uint64_t position) const noexcept override {
        return position;
    }
    [[nodiscard]] std::uint64_t delivered(int /*socket*/, std::uint64_t acknowledged,
                                          std::uint64_t /*position*/) const noexcept override {
        return acknowledged;
    }

    /// Gives the socket as much of the parts as it takes. kernel_tls_channel sends its data this way, too.
    [[nodiscard]] static given send_parts(int socket, std::span<const part> parts, channel_workplace& place);

  private:
    void dispose() noexcept override {}
};

} // namespace dlhandoff::engine
