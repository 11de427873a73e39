#pragma once

#include "dlmanagerd/admin/admin_answer.hpp"
#include "shared/admin_protocol.hpp"
#include "shared/file_descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace dlhandoff::service {

/// One connection of an admin: a request, a line of at most admin::longest_request bytes, and its answer.
/// Never waits: each call does what can be done now.
class admin_session {
  public:
    enum class progress : std::uint8_t {
        waits, ///< the other side has to go on
        done,  ///< the request is here, or the answer is with the kernel
        gone   ///< the other side has left
    };

    /// Takes over a non-blocking stream socket.
    explicit admin_session(file_descriptor socket) : socket_(std::move(socket)) {}

    /// Reads on, up to the end of the request's line, or until it is too long.
    [[nodiscard]] progress read();
    /// What is asked, or why that can't be told. Once read() is done.
    [[nodiscard]] std::variant<admin::request, std::string> request() const;

    void begin(admin_answer with);
    /// Writes on, a little at a time.
    [[nodiscard]] progress write();

    [[nodiscard]] int socket() const noexcept { return socket_.get(); }

  private:
    [[nodiscard]] std::size_t next_of_answer(char* into, std::size_t most) const noexcept;

    file_descriptor socket_;
    std::string request_;
    admin_answer answer_;
    std::size_t part_ = 0; ///< of the answer: its parts, then its text
    std::size_t sent_ = 0; ///< of this part
};

} // namespace dlhandoff::service
