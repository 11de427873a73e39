#pragma once

#include "engine/client/channel.hpp"
#include "engine/tls/kernel_tls.hpp"
#include "engine/tls/tls_control.hpp"
#include "engine/tls/tls_input.hpp"
#include "engine/tls/traffic_key.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dlhandoff::engine {

/// One TLS connection after its handshake, whose records the kernel seals: data go to the socket as they are,
/// and only control records come from here.
class kernel_tls_channel final : public channel {
  public:
    /// Has the kernel seal what is sent on this socket from here on, if it can be trusted with that. Null:
    /// nothing has changed, and records are sealed in this process. Throws std::runtime_error if libcrypto
    /// fails, and then nothing can be sent any more.
    [[nodiscard]] static pointer take_over(int socket, const traffic_key& key, const tls_input& input,
                                           const tls_control& control);

    /// In secret_memory().
    static void* operator new(std::size_t size);
    static void operator delete(void* channel, std::size_t size) noexcept;

    [[nodiscard]] std::uint64_t room(client_socket& socket) noexcept override;
    [[nodiscard]] given give(int socket, std::span<const part> parts, channel_workplace& place) override;
    void finish() noexcept override { control_.want_close(); }
    [[nodiscard]] bool finished() const noexcept override { return !control_.waits(); }
    [[nodiscard]] bool edge_will_come(int socket) const noexcept override;
    [[nodiscard]] heard hear(int socket, connection_end after, channel_workplace& place) override;
    /// See kernel_tls::wire_bytes().
    [[nodiscard]] std::uint64_t wire_bytes(int socket, std::uint64_t position) const noexcept override {
        return kernel_.wire_bytes(socket, position);
    }
    /// A little less than it is: only the kernel knows where its records begin.
    [[nodiscard]] std::uint64_t delivered(int socket, std::uint64_t acknowledged,
                                          std::uint64_t position) const noexcept override;
    /// A record may still wait behind TCP, for room.
    [[nodiscard]] bool is_all_in_tcp(const client_socket& socket,
                                     std::uint64_t position) const noexcept override;
    void forget_keys(channel_workplace& place) const noexcept override;
    [[nodiscard]] std::string description() const override;

    /// Sends the control records that wait. Throws std::runtime_error if libcrypto fails.
    [[nodiscard]] write_step send_control(int socket);
    /// Asks for a new key if the present one could reach its limit within so many more records.
    void watch_key(int socket, std::uint64_t records) noexcept;
    /// Records under one key at most, for tests: lower than the suite's own.
    void limit_records(std::uint64_t most) noexcept { control_.limit_records(most); }

  private:
    kernel_tls_channel(kernel_tls kernel, const traffic_key& key, const tls_input& input,
                       const tls_control& control)
        : next_key_(key), input_(input), control_(control), kernel_(kernel) {}

    traffic_key next_key_; ///< the one that the kernel doesn't have yet
    tls_input input_;
    tls_control control_;
    kernel_tls kernel_;
    std::uint16_t wire_closing_ = 0; ///< bytes of close_notify on the wire
};

/// What both TLS channels make of what the client said: that it has closed its direction only matters to the
/// client (RFC 8446, 6.1: it may well want the response).
[[nodiscard]] channel::heard heard_over_tls(tls_input::heard said, const tls_input& input) noexcept;
/// "TLSv1.3 TLS_AES_256_GCM_SHA384 user".
[[nodiscard]] std::string describe_tls(const tls_suite& suite, std::string_view sealer);

} // namespace dlhandoff::engine
