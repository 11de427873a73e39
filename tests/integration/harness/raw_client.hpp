#pragma once

#include "shared/file_descriptor.hpp"
#include "tests/integration/harness/eventually.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace dlhandoff::test {

/// A TCP connection without any HTTP of its own, for what libcurl would not do: requests in pieces,
/// pipelining, half-closing, reading slowly or not at all, going away.
///
/// Every wait has a deadline; a passed one throws std::runtime_error.
class raw_client {
  public:
    /// `receive_buffer`: SO_RCVBUF, set before connecting, so that the server can't send far ahead; 0 leaves
    /// it.
    raw_client(const std::string& address, std::uint16_t port, int receive_buffer = 0);
    /// From this IPv4 address of our own.
    [[nodiscard]] static raw_client connect_from(const std::string& own, const std::string& address,
                                                 std::uint16_t port, int receive_buffer = 0);
    /// Goes on with a stream socket that is connected.
    explicit raw_client(file_descriptor connected) : socket_(std::move(connected)) {}

    void send(std::string_view text);
    /// Ends the sending side only: the server reads an end of file.
    void half_close() const;
    /// Goes away with a reset, as a killed client does.
    void reset();
    void close() { socket_.reset(); }

    /// The next response's head, its empty line included.
    [[nodiscard]] std::string read_head(std::chrono::milliseconds within = 10s);
    /// Exactly so many bytes, or fewer if the connection ends.
    [[nodiscard]] std::string read(std::size_t count, std::chrono::milliseconds within = 20s);
    /// Everything up to the connection's end.
    [[nodiscard]] std::string read_to_end(std::chrono::milliseconds within = 30s);
    /// Whether something has come within the time: bytes, or the connection's end.
    [[nodiscard]] bool has_input(std::chrono::milliseconds within) const;
    /// Takes what has come, without waiting, and says how many bytes it was.
    std::size_t drop_input();
    /// Whether the server has ended the connection within the time, bytes in between dropped.
    [[nodiscard]] bool ends(std::chrono::milliseconds within);
    /// True once the connection has ended with a reset instead of an end of file.
    [[nodiscard]] bool was_reset() const noexcept { return was_reset_; }

    [[nodiscard]] std::uint16_t local_port() const;

  private:
    /// Reads what there is; false at the connection's end.
    bool fill(std::chrono::steady_clock::time_point deadline);

    file_descriptor socket_;
    std::string unread_;
    bool ended_ = false;
    bool was_reset_ = false;
};

/// A field's value from a response head, empty if it is not there.
[[nodiscard]] std::string field_of(std::string_view head, std::string_view name);
/// The status of a response head.
[[nodiscard]] int status_of(std::string_view head);

} // namespace dlhandoff::test
