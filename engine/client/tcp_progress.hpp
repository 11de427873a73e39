#pragma once

#include <cstdint>

namespace dlhandoff::engine {

/// How much of what was written to a TCP socket the client has acknowledged.
///
/// `tcpi_bytes_acked` (tcp(7)) plus what is still in the queue (SIOCOUTQ) is all that was ever written; the
/// sum at the beginning therefore separates what httpd wrote earlier on this connection from what the
/// transfer writes.
class tcp_progress {
  public:
    tcp_progress() noexcept = default;
    /// Begins to count: nothing of the transfer has been written yet.
    explicit tcp_progress(int socket) noexcept;

    /// Bytes of the transfer that the client has acknowledged, at most `sent`. Works on a reset connection
    /// too.
    [[nodiscard]] std::uint64_t delivered(int socket, std::uint64_t sent) const noexcept;

    /// Bytes of the transfer that TCP has sent at least once, at most `sent`. Works on a reset connection
    /// too.
    [[nodiscard]] std::uint64_t transmitted(int socket, std::uint64_t sent) const noexcept;

    /// Bytes of the transfer that TCP has been given, the FIN included.
    [[nodiscard]] std::uint64_t written(int socket) const noexcept;

    /// Bytes that TCP has and the client has not acknowledged.
    [[nodiscard]] static std::uint64_t unacknowledged(int socket) noexcept;

  private:
    std::uint64_t written_before_ = 0;
};

/// Bytes in the socket that the kernel has never sent yet: what TCP_NOTSENT_LOWAT bounds.
[[nodiscard]] std::uint64_t unsent_bytes(int socket) noexcept;

/// Whether it is a TCP socket.
[[nodiscard]] bool is_tcp(int socket) noexcept;
/// Whether the socket is a TCP connection that can still be written to (established, or half-closed by the
/// client).
[[nodiscard]] bool is_connected(int socket) noexcept;
/// Whether both directions have ended, by FIN or by a reset: nothing more will be acknowledged.
[[nodiscard]] bool is_over(int socket) noexcept;

} // namespace dlhandoff::engine
