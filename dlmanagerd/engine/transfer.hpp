#pragma once

#include "dlmanagerd/engine/deadline_heap.hpp"
#include "dlmanagerd/engine/event_loop.hpp"
#include "dlmanagerd/engine/file_table.hpp"
#include "dlmanagerd/engine/read_ahead.hpp"
#include "dlmanagerd/engine/tcp_progress.hpp"
#include "dlmanagerd/engine/transfer_log.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace dlhandoff::engine {

class engine;

/// One response on its way to one client: the offer as it came, a position in the response, and descriptors.
///
///     sending ──last byte written──> draining ──client has all and has closed, or lingered──> finished
///       └─cold file──> reading ──read ahead──┘ (back to sending)
///
/// Belongs to one engine and its thread. Every path ends in engine::finish(), which destroys it: callers must
/// not touch a transfer after turn() or on_deadline().
class transfer final : public event_handler, public deadline_hook {
  public:
    /// Bytes given to the kernel in one turn at most, so that many fast clients share.
    static constexpr std::uint64_t quantum = 512 * 1024;
    /// TCP_NOTSENT_LOWAT: what the kernel queues beyond the congestion window, bytes. It begins at the least,
    /// and doubles while the client empties it within `fast_gap`, so that a fast client costs few wake-ups
    /// and a slow one little memory.
    static constexpr int least_low_water = 128 * 1024;
    static constexpr int most_low_water = 1024 * 1024;
    static constexpr std::chrono::milliseconds fast_gap{10};
    static constexpr std::chrono::milliseconds slow_gap{200};
    /// What is asked about, or read ahead, at once, bytes.
    static constexpr std::uint64_t stretch = 512 * 1024;
    /// How long a client that has everything may take to close.
    static constexpr std::chrono::seconds linger{2};

    transfer(engine& owner, offer offered, file_descriptor client, std::vector<file_reference> files);
    ~transfer();

    /// Has the loop watch the client; false if the kernel refuses.
    [[nodiscard]] bool watch() noexcept;
    /// The response is ours now: prepares the socket and counts from here.
    void begin(std::uint64_t number);

    /// Sends until the socket is full or the quantum is used.
    void turn();
    /// The deadline has come: ends what stalls, or sets the next one.
    void on_deadline();
    void on_events(std::uint32_t events) override;

    /// Whether every byte is with the kernel.
    [[nodiscard]] bool all_sent() const noexcept { return position_ == total_; }
    /// Makes close() reset the connection: for responses that end short, so that none passes for whole.
    void reset_on_close() noexcept;
    /// What the log says of it now; `id` and `manager` are the engine's to add.
    [[nodiscard]] transfer_record record(outcome how) const;
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

    transfer* next_ready = nullptr; ///< the engine's turn queue
    transfer* previous_ready = nullptr;
    transfer* next = nullptr; ///< the engine's list of all
    transfer* previous = nullptr;
    bool in_turn_queue = false;

  private:
    enum class state : std::uint8_t { sending, reading, draining };
    enum class step : std::uint8_t { sent, would_block, must_read, client_gone, file_changed, failed };

    void send_turn();
    [[nodiscard]] step send_some(std::uint64_t most);
    [[nodiscard]] step send_memory(const plan_piece& piece, std::uint64_t within, std::uint64_t most);
    [[nodiscard]] step send_file(const plan_piece& piece, std::uint64_t within, std::uint64_t most);
    void advance(std::uint64_t bytes) noexcept;
    void set_low_water(int bytes) noexcept;
    void adapt_low_water() noexcept;
    void start_draining();
    void drain_turn();
    void note_delivered() noexcept;

    engine& engine_;
    offer offer_;
    std::vector<file_reference> files_;
    tcp_progress progress_;
    std::uint64_t number_ = 0;
    std::uint64_t total_;           ///< bytes of the response
    std::uint64_t position_ = 0;    ///< bytes given to the kernel
    std::uint64_t piece_start_ = 0; ///< the position where the current piece begins
    std::uint64_t warm_until_ = 0;  ///< file offset up to which the current piece is known to be in memory
    std::uint64_t last_delivered_ = 0;
    clock::time_point began_{};
    clock::time_point blocked_at_{};
    clock::time_point progressed_{}; ///< when last_delivered_ was last seen to grow
    read_ahead::request* reading_ = nullptr;
    file_descriptor client_;
    std::uint32_t piece_ = 0;
    std::uint32_t drain_pause_ms_ = 0;
    int low_water_ = 0;
    state state_ = state::sending;
    bool blocked_ = false; ///< the socket was full at the last turn
};

} // namespace dlhandoff::engine
