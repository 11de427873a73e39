#pragma once

#include "shared/board.hpp"
#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"
#include "shared/wire.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace dlhandoff::test {

/// Plays a manager towards httpd's workers, a bad one if told to: built on what both sides share only. Each
/// connection has a thread of its own; all end with the object.
class fake_manager {
  public:
    struct offered {
        offer what;
        std::vector<file_descriptor> descriptors; ///< the client, then the files
    };

    /// One worker's connection.
    class peer {
      public:
        peer(file_descriptor socket, const board& the_board, std::uint32_t slot,
             const std::atomic<bool>& stopping)
            : socket_(std::move(socket)), board_(the_board), slot_(slot), stopping_(stopping) {}
        void say_hello() const;
        /// Sends any bytes.
        void say(std::span<const std::byte> bytes, std::span<const int> descriptors = {}) const;
        /// Waits for it; nothing once the worker has gone or the test ends.
        [[nodiscard]] std::optional<offered> next_offer();
        [[nodiscard]] bool claim(const offered& one) const;
        void answer(const offered& one, bool claimed, refusal reason = refusal::full) const;
        /// Does what a manager does after its answer: sends the whole response and ends the connection.
        void send_response(const offered& one) const;
        void close() { socket_.reset(); }
        /// Does nothing until the worker has gone or the test ends.
        void stay_silent();

      private:
        [[nodiscard]] bool wait_for(int descriptor, short events) const;
        file_descriptor socket_;
        const board& board_;
        std::uint32_t slot_;
        const std::atomic<bool>& stopping_;
        received_message message_;
    };
    using behaviour = std::function<void(peer&)>;

    /// Listens at `path`, for any user. `act` is called for every connection.
    fake_manager(const std::string& path, behaviour act);
    ~fake_manager();
    fake_manager(const fake_manager&) = delete;
    fake_manager& operator=(const fake_manager&) = delete;

    [[nodiscard]] unsigned connections() const noexcept { return connections_; }

  private:
    void accept_all();

    behaviour act_;
    std::string path_;
    board board_;
    file_descriptor listener_;
    std::atomic<bool> stopping_ = false;
    std::atomic<unsigned> connections_ = 0;
    std::vector<std::thread> peers_; ///< the accepting thread's, until it has ended
    std::thread accepting_;
};

} // namespace dlhandoff::test
