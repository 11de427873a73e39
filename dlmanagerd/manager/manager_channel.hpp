#pragma once

#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <sys/socket.h>
#include <utility>

/// What the supervisor and a manager say to each other, over a socket pair (SOCK_SEQPACKET) of their own.
/// Both ends are the same program.
///
///     supervisor ──order──> manager      some with a descriptor
///     manager    ──note──> supervisor    only wakes it: facts are on the board
///
/// An end of file means that the other one is gone.
namespace dlhandoff::service {

struct order {
    enum class kind : std::uint32_t {
        session, ///< a worker has connected: `peer`, and its socket as the descriptor
        reload,  ///< read the configuration again, and answer note::reloaded
        drain,   ///< no new offers; end when nothing is under way, or after `most`
        stop,    ///< end at once
        report   ///< write your part of an answer to an admin into the descriptor (admin_report.hpp)
    };
    static constexpr std::chrono::milliseconds no_limit = std::chrono::milliseconds::max();

    kind what{};
    ucred peer{};
    std::chrono::milliseconds most{};
};

enum class note : std::uint32_t {
    live,     ///< it takes offers now
    room,     ///< its room on the board has changed
    reloaded, ///< it has read the configuration again, or has said why not
    reported  ///< it has written a part of an answer
};

struct channel_ends {
    file_descriptor supervisor;
    file_descriptor manager;
};
/// Throws std::system_error.
[[nodiscard]] channel_ends make_channel();

/// `descriptor` (-1: none) stays the caller's.
[[nodiscard]] send_result send_order(int channel, const order& what, int descriptor = -1);
[[nodiscard]] send_result send_note(int channel, note what);

/// An order as received. Its descriptor is invalid if there was none, or none could be received.
struct received_order {
    order what;
    file_descriptor descriptor;
};
/// The next order: nothing if there is none now. `gone` becomes true at the channel's end.
[[nodiscard]] std::optional<received_order> receive_order(int channel, received_message& buffer, bool& gone);
[[nodiscard]] std::optional<note> receive_note(int channel, received_message& buffer, bool& gone);

} // namespace dlhandoff::service
