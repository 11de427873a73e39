#pragma once

#include "engine/client/channel_workplace.hpp"
#include "engine/client/connection_return.hpp"
#include "engine/client/idle_connections.hpp"
#include "engine/deadline_heap.hpp"
#include "engine/event_loop.hpp"
#include "engine/files/file_failure.hpp"
#include "engine/files/file_table.hpp"
#include "engine/files/read_ahead.hpp"
#include "engine/limits/admission.hpp"
#include "engine/limits/bandwidth.hpp"
#include "engine/limits/burst_allowance.hpp"
#include "engine/limits/limits.hpp"
#include "engine/limits/rate_sharing.hpp"
#include "engine/limits/tcp_memory.hpp"
#include "engine/transfer.hpp"
#include "engine/transfer_log.hpp"
#include "shared/offer.hpp"
#include "shared/transfer_listing.hpp"

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dlhandoff::engine {

struct engine_options {
    std::string manager = "m1"; ///< its name in the transfer log
    limit_table limits{};       ///< of downloads
    /// Of the ledger by which it shares them with other engines; null: it is alone.
    std::shared_ptr<ledger_member> member{};
    /// The same ledger, if this engine is the one that clears the columns of killed processes and counts the
    /// engines that share the kernel's memory; null: another process does both.
    const dlhandoff::engine::ledger* ledger = nullptr;
    std::uint64_t tcp_memory = 0; ///< bytes that the kernel may hold for clients; 0: see tcp_memory.hpp
    return_policy returns{};      ///< whom connections may be returned to
    transfer_log::on_loss on_log_loss{}; ///< on the engine's thread; may be empty
    file_failure_hook on_file_failure{};
    /// How many connections may wait for their next request at the same time; 0: no bound.
    std::size_t max_idle = 0;
};

/// Sends downloads. It takes over offers, sends each response over its client's socket without ever waiting,
/// returns keep-alive connections to httpd with their next request, and writes the transfer log. It knows
/// nothing of httpd or of processes.
///
/// One thread, the loop's. A claim takes two steps, because the answer to the worker must come before the
/// first byte to the client: prepare() checks and takes ownership without a visible effect; begin() starts to
/// send.
class engine final : private transfer_owner {
  public:
    engine(event_loop& loop, engine_options options, transfer_log log);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    using prepared = std::unique_ptr<transfer>;

    /// Checks the offer against its descriptors (client, then files), which it takes over. Dropping the
    /// result closes these descriptors; httpd's connection to the client is untouched.
    [[nodiscard]] std::variant<prepared, refusal> prepare(offer offered,
                                                          std::vector<file_descriptor> descriptors);

    /// The same for an offer that has passed check_offer() already.
    [[nodiscard]] std::variant<prepared, refusal> prepare_checked(offer offered,
                                                                  std::vector<file_descriptor> descriptors);

    /// Takes over an offer that has passed check_offer(), whatever the limits say. Null if the kernel can't
    /// watch the client.
    [[nodiscard]] prepared adopt(offer offered, std::vector<file_descriptor> descriptors);

    /// Starts to send, or lets the transfer wait for its turn. From here on this engine owns the response. If
    /// it throws std::bad_alloc, it does not own it: nothing has been sent, and nothing will be.
    void begin(prepared ready);

    /// Does what is due: gives a turn to every transfer that can go on, ends those whose time is up, and
    /// writes the log. Call once after every event_loop::run_once().
    void run_turns();

    /// When run_turns() must be called next, at the latest.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// Transfers under way, including those that wait for their turn and those that linger.
    [[nodiscard]] std::size_t active() const noexcept { return all_.size(); }
    /// Of these, those that wait for their turn.
    [[nodiscard]] std::size_t queued() const noexcept { return admission_.waiting(); }
    /// Response bytes that the kernel has been given by all transfers so far.
    [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }
    /// Bytes that the kernel holds for clients, and what it may; see tcp_memory.hpp.
    [[nodiscard]] const tcp_memory& memory() const noexcept { return tcp_memory_; }

    /// Lists transfers in slices, so that many of them don't hold up the loop. begin_listing() starts with
    /// all that are under way; each list() then visits up to `most` of those that still are, and returns
    /// whether some are left. One listing at a time; `visit` must change nothing here.
    void begin_listing() noexcept { next_listed_ = all_.begin(); }
    bool list(std::size_t most, const std::function<void(const transfer_listing&)>& visit);
    /// Ends a transfer under way: its client sees a reset, unless the kernel has the whole response, and the
    /// log says `cancelled`. `id` is the one in the log and in listings. False if no transfer has it.
    bool cancel(std::string_view id);

    /// Connections that wait for their clients' next requests, go back to httpd, or are being ended.
    [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
    /// Closes up to `count` of them, those with the least time left first; for when descriptors run out.
    void close_idle(std::size_t count) { idle_.close_waiting(count); }

    /// Descriptors of clients and files that it holds now.
    [[nodiscard]] std::size_t descriptors_used() const noexcept {
        return all_.size() + files_.size() + idle_.size();
    }

    /// From now on prepare() refuses with `stopping`. Transfers under way go on, and connections wait for
    /// their clients' next requests for as long as httpd would. The engine has finished when active() and
    /// idle() are 0.
    void stop_accepting();

    /// Ends every transfer at once: the clients see their connections reset, and the log says `how`. Closes
    /// idle connections.
    void end_all(outcome how);

    /// The new limits also hold for transfers under way.
    void set_limits(limit_table limits, std::uint64_t tcp_memory);
    /// So many engines, this one included, share the kernel's memory; at least 1.
    void share_memory_with(std::size_t engines) noexcept { tcp_memory_.share_with(engines); }
    void set_log(transfer_log log);
    void set_return_policy(return_policy returns) { idle_.set_policy(std::move(returns)); }
    void set_max_idle(std::size_t most) noexcept { idle_.set_most(most); }

  private:
    template <transfer::list_hook transfer::*Hook, bool CountsItself>
    using transfer_list =
        boost::intrusive::list<transfer, boost::intrusive::member_hook<transfer, transfer::list_hook, Hook>,
                               boost::intrusive::constant_time_size<CountsItself>>;

    void on_ready(transfer& one) noexcept override;
    void on_delivered(transfer& one) noexcept override;
    void on_queue_timeout(transfer& one) override;
    void on_end(transfer& ended, outcome how, connection_end end) noexcept override;

    void turn_away(transfer& one);
    void start(transfer& one);
    void start_those_whose_turn_it_is();
    /// Clears the ledger columns of killed engines, if that is this engine's task and has not been done
    /// lately. Returns whether it cleared any.
    bool reclaim_killed();
    void run_limits();
    void add_to_log(const transfer& one, outcome how) noexcept;
    [[nodiscard]] std::string id_of(const transfer& one) const;

    event_loop& loop_;
    engine_options options_;
    transfer_log log_;
    file_table files_;
    read_ahead read_ahead_;
    channel_workplace workplace_;
    tcp_memory tcp_memory_;
    admission admission_;
    rate_sharing rate_sharing_;
    bandwidth bandwidth_;
    burst_allowance bursts_;
    clock::time_point recheck_at_ = clock::time_point::max(); ///< when to look at others' use of limits
    clock::time_point reclaim_at_{};                          ///< when to clear the columns of killed engines
    clock::time_point count_at_{};                            ///< when to count the engines that share memory
    idle_connections idle_;
    deadline_heap<transfer> deadlines_;
    transfer_list<&transfer::ready_hook, false> ready_; ///< the turn queue: those that can send now
    transfer_list<&transfer::all_hook, true> all_;      ///< every transfer that was begun, the last one first
    decltype(all_)::iterator next_listed_;              ///< where in all_ list() goes on
    std::uint64_t last_id_ = 0;
    std::uint64_t bytes_sent_ = 0;
    std::string id_prefix_;
    bool accepting_ = true;
    const transfer_surroundings surroundings_;
};

} // namespace dlhandoff::engine
