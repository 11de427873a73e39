#pragma once

#include "engine/write_step.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace dlhandoff::engine {

class channel_workplace;
class client_socket;
class shared_file;

/// What happens to a client's connection after a response.
enum class connection_end : std::uint8_t { close, keep_alive };

/// What carries a response's bytes to its client: as they are (plain_channel), in TLS records that are sealed
/// here (sealed_channel), or in those that the kernel seals (kernel_tls_channel). A transfer asks none of
/// them which one it is.
///
/// A channel borrows the client's socket with each call, always the same one. It keeps no bytes: what give()
/// did not take is given again, and is the same then. What frames a response further, such as HTTP/2, goes
/// between transfer and channel: it gives its own parts, and counts what was taken of them.
///
/// One thread, the loop's. Errors are values; what libcrypto fails at, and want of memory, is thrown.
class channel {
  public:
    /// Bytes to be carried: of memory, or of a file. Borrowed for the call.
    struct part {
        const std::byte* memory = nullptr; ///< null: they are in the file
        const shared_file* file = nullptr;
        std::uint64_t offset = 0; ///< in the file
        std::uint64_t length = 0;
        reading_terms reading{}; ///< of the file
        bool more = false;       ///< more of the response follows this part soon: it need not be hurried
    };
    struct given {
        write_step step = write_step::sent;
        std::uint64_t taken = 0; ///< of the parts' bytes; count them, whatever the step
        /// `failed` because this file could not be read at `offset`; null: for another reason.
        const shared_file* unreadable = nullptr;
        std::uint64_t offset = 0;
        int error = 0; ///< errno
    };
    struct heard {
        write_step step = write_step::sent; ///< or client_gone, or failed: the connection must end
        bool unread = false;                ///< the client's input, or some of it, is still in the socket
        bool more = false; ///< of it, what was not looked at for now: no event will tell of that
    };

    /// Ends a channel, unless all share it.
    struct deleter {
        void operator()(channel* ended) const noexcept { ended->dispose(); }
    };
    using pointer = std::unique_ptr<channel, deleter>;

    channel() = default;
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    virtual ~channel() = default;

    /// Before the first byte: the channel that goes on from here in place of this one; null: this one does.
    [[nodiscard]] virtual pointer start(int socket);

    /// Bytes that may be given now. 0: the socket is full, and its edge will come.
    [[nodiscard]] virtual std::uint64_t room(client_socket& socket) noexcept = 0;
    /// Bytes that a give() must have at the least: those of a record that was begun. 0: any number.
    [[nodiscard]] virtual std::uint64_t begun() const noexcept { return 0; }
    /// Of so many bytes, of which more will follow, those that don't break a record in two.
    [[nodiscard]] virtual std::uint64_t whole(std::uint64_t bytes) const noexcept { return bytes; }
    /// Gives the socket what it takes of the parts, and before them what the channel itself has to say.
    /// Without parts: only that.
    [[nodiscard]] virtual given give(int socket, std::span<const part> parts, channel_workplace& place) = 0;

    /// Nothing follows: has the channel say so to the client, with the next give().
    virtual void finish() noexcept {}
    /// Whether the kernel has all that the channel itself has to say.
    [[nodiscard]] virtual bool finished() const noexcept { return true; }
    /// After give() has said would_block: false if no edge may come, so that it must be tried again.
    [[nodiscard]] virtual bool edge_will_come(int socket) const noexcept;

    /// The client has sent something: what the channel understands of it is read and heeded. A client that
    /// reads no response before it has sent its whole request must get that far: if the connection ends with
    /// the response, the rest is read away. If it goes on, what comes is httpd's.
    [[nodiscard]] virtual heard hear(int socket, connection_end after, channel_workplace& place) = 0;

    /// Bytes on the wire that the kernel was given when it was given `position` bytes of the response.
    [[nodiscard]] virtual std::uint64_t wire_bytes(int socket, std::uint64_t position) const noexcept = 0;
    /// Bytes of the response that a client has that has acknowledged so many of wire_bytes().
    [[nodiscard]] virtual std::uint64_t delivered(int socket, std::uint64_t acknowledged,
                                                  std::uint64_t position) const noexcept = 0;
    /// Whether TCP has all that the kernel was given: neither shutdown(2) nor close(2) waits for the rest.
    [[nodiscard]] virtual bool is_all_in_tcp(const client_socket& socket,
                                             std::uint64_t position) const noexcept;

    /// The connection ends: what the workplace still knows of its keys is wiped.
    virtual void forget_keys(channel_workplace& place) const noexcept;
    /// For the transfer log: "TLSv1.3 TLS_AES_256_GCM_SHA384 user"; empty for plain TCP.
    [[nodiscard]] virtual std::string description() const { return {}; }

  private:
    virtual void dispose() noexcept { delete this; }
};

} // namespace dlhandoff::engine
