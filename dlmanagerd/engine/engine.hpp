#pragma once

#include "dlmanagerd/engine/connection_return.hpp"
#include "dlmanagerd/engine/deadline_heap.hpp"
#include "dlmanagerd/engine/event_loop.hpp"
#include "dlmanagerd/engine/file_table.hpp"
#include "dlmanagerd/engine/idle_connections.hpp"
#include "dlmanagerd/engine/read_ahead.hpp"
#include "dlmanagerd/engine/transfer_log.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dlhandoff::engine {

class transfer;
struct tls_workplace;

struct engine_options {
    std::string manager = "m1";                      ///< its name in the transfer log
    std::chrono::milliseconds stall_timeout{60'000}; ///< a client that takes nothing for so long is dropped
    std::uint32_t max_transfers = 0;                 ///< sent at the same time; 0: as descriptors allow
    return_policy back;                              ///< where connections that go on may go
    std::size_t max_idle = 0; ///< of these, that may wait at the same time; 0: no bound
};

/// Sends downloads: takes offers over, sends each response over its client's socket without ever waiting,
/// gives connections that go on back to httpd with their next request, and writes the transfer log. Knows
/// nothing of httpd or of processes.
///
/// One thread, the loop's. A claim takes two steps, because the answer to the worker must come before the
/// first byte to the client: prepare() checks and takes ownership without a visible effect; begin() starts to
/// send.
class engine {
  public:
    engine(event_loop& loop, engine_options options, transfer_log log);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    struct transfer_deleter {
        void operator()(transfer* ended) const noexcept;
    };
    using prepared = std::unique_ptr<transfer, transfer_deleter>;

    /// Checks the offer against its descriptors (client, then files), which it takes over. Dropping what it
    /// returns drops the descriptors: the client's connection is untouched in httpd.
    [[nodiscard]] std::variant<prepared, refusal> prepare(offer offered,
                                                          std::vector<file_descriptor> descriptors);

    /// Takes over an offer that has passed check_offer(); null if the kernel can't watch
    /// the client.
    [[nodiscard]] prepared adopt(offer offered, std::vector<file_descriptor> descriptors);

    /// Starts to send. From here on this engine owns the response.
    void begin(prepared ready);

    /// Does what is due: gives every transfer that can go on its turn, ends those whose time is up, writes
    /// the log. Call once after every event_loop::run_once().
    void run_turns();

    /// When run_turns() wants to be called next, at the latest.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// Transfers under way, those that linger included.
    [[nodiscard]] std::size_t active() const noexcept { return transfers_; }

    /// Connections that wait for their clients' next requests, go back to httpd, or are being ended.
    [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
    /// Closes up to `count` of them, those with the least time left: when descriptors run out.
    void close_idle(std::size_t count) { idle_.close_waiting(count); }

    /// From now on prepare() refuses with `stopping`, and no connection waits for a next request; transfers
    /// that are under way go on.
    void stop_accepting();

    /// Ends every transfer at once: the clients see their connections reset, the log says `how`. Idle
    /// connections are closed.
    void end_all(outcome how);

    void set_stall_timeout(std::chrono::milliseconds timeout) noexcept { options_.stall_timeout = timeout; }
    void set_max_transfers(std::uint32_t most) noexcept { options_.max_transfers = most; }
    void set_log(transfer_log log);
    void set_return_policy(return_policy back) { idle_.set_policy(std::move(back)); }
    void set_max_idle(std::size_t most) noexcept { idle_.set_most(most); }

  private:
    friend class transfer;
    // For transfers: see transfer.hpp.
    [[nodiscard]] tls_workplace& tls_place();
    void make_ready(transfer& one) noexcept;
    enum class connection_end : std::uint8_t { close, keep_alive };
    void finish(transfer& one, outcome how, connection_end end = connection_end::close);
    void take_from_turn_queue(transfer& one) noexcept;

    event_loop& loop_;
    engine_options options_;
    transfer_log log_;
    file_table files_;
    read_ahead read_ahead_;
    idle_connections idle_;
    std::unique_ptr<tls_workplace> tls_place_; ///< made for the first TLS connection
    deadline_heap<transfer> deadlines_;
    transfer* ready_first_ = nullptr; ///< the turn queue: those that can send now
    transfer* ready_last_ = nullptr;
    transfer* all_ = nullptr; ///< every transfer that was begun, linked
    std::size_t transfers_ = 0;
    std::uint64_t last_id_ = 0;
    std::string id_prefix_;
    bool accepting_ = true;
};

} // namespace dlhandoff::engine
