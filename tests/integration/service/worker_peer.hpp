#pragma once

#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"
#include "shared/wire.hpp"
#include "tests/integration/harness/eventually.hpp"
#include "tests/integration/harness/raw_client.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dlhandoff::test {

/// Plays an httpd worker towards a manager's socket: built on what both sides share only, so that the test
/// says every word of the protocol itself, the wrong ones too.
class worker_peer {
  public:
    /// Connects and takes the hello. Nothing if the manager closes the connection instead. Throws
    /// std::runtime_error if nobody listens, nothing comes, or a refusal ("turned away: full").
    [[nodiscard]] static std::optional<worker_peer> try_connect(const std::string& path);
    /// As try_connect(), but a closed connection throws too.
    explicit worker_peer(const std::string& path);

    [[nodiscard]] const hello& greeting() const noexcept { return greeting_; }
    [[nodiscard]] const board& the_board() const noexcept { return board_; }
    /// What the board says of the manager that has greeted.
    [[nodiscard]] const manager_status& status() const noexcept { return board_.manager(greeting_.index); }
    [[nodiscard]] const manager_counters& counters() const noexcept { return status().counters; }
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }
    [[nodiscard]] std::uint64_t refusals(refusal reason) const noexcept;

    /// Takes the next ticket and writes it into the offer.
    std::uint64_t take_ticket(offer& what) noexcept;
    [[nodiscard]] bool revoke(std::uint64_t sequence) noexcept;

    /// Takes the next ticket and sends the offer; its sequence number.
    std::uint64_t send(offer& what, std::span<const int> descriptors);
    /// Sends any bytes.
    void send_bytes(std::span<const std::byte> bytes, std::span<const int> descriptors);

    /// The next answer; nothing if the manager has closed the connection. Throws std::runtime_error if
    /// neither comes.
    [[nodiscard]] std::optional<answer> next_answer(std::chrono::milliseconds within = 10s);

  private:
    worker_peer(file_descriptor socket, const hello& greeting, board the_board);

    file_descriptor socket_;
    hello greeting_;
    board board_;
};

/// A download as a worker has it when it makes an offer: a client that waits for the response, and an open
/// file.
struct open_download {
    /// Opens the file. `receive_buffer` as raw_client's: small, for a client that reads late.
    explicit open_download(const std::string& path, int receive_buffer = 0);

    /// The offer of a response with the whole file.
    [[nodiscard]] offer make_offer(std::string_view for_client = "127.0.0.1",
                                   std::string_view transfer_class = {}) const;
    /// What the client must get: head and file.
    [[nodiscard]] std::string response() const;
    /// The worker's own copies go, as after a detach.
    void let_go();

    raw_client client;
    file_descriptor connection; ///< the server's side of the client's connection
    file_descriptor file;

  private:
    open_download(int listener, const std::string& path, int receive_buffer);
    std::string path_;
};

} // namespace dlhandoff::test
