#pragma once

#include "engine/client/tcp_progress.hpp"
#include "engine/deadline_heap.hpp"
#include "engine/event_loop.hpp"
#include "engine/files/file_table.hpp"
#include "engine/files/read_ahead.hpp"
#include "engine/limits/admission.hpp"
#include "engine/limits/bandwidth.hpp"
#include "engine/limits/limits.hpp"
#include "engine/response_cursor.hpp"
#include "engine/tls/tls_channel.hpp"
#include "engine/transfer_log.hpp"
#include "shared/offer.hpp"
#include "shared/transfer_listing.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace dlhandoff::engine {

class engine;
class scattered_read;

/// One response on its way to one client: the offer as it came, a position in the response, and descriptors.
///
///     queued ──has its turn, or queue_timeout: then 503 is the response──> sending
///
///     sending ──last byte written──> lingering ──client has all and has closed, or lingered──> finished
///      │ │           (keep-alive) └> delivering ──client has all──> finished
///      │ └─cold file──> reading ──read ahead──┐
///      └──────────────────────────────────────┘
///
/// Belongs to one engine and its thread. Every path ends in engine::finish(), which destroys it: callers must
/// not touch a transfer after turn() or on_deadline().
class transfer final : public event_handler, public deadline_hook, public admission::entry {
  public:
    /// Bytes given to the kernel in one turn at most, so that many fast clients share.
    static constexpr std::uint64_t quantum = 512 * 1024;
    /// The low-water mark (tcp_memory.hpp) doubles while the client empties it within `fast_gap`, so that a
    /// fast client costs few wake-ups, and falls back when it took `slow_gap`.
    static constexpr std::chrono::milliseconds fast_gap{40};
    static constexpr std::chrono::milliseconds slow_gap{200};
    /// What is asked about, or read ahead, at once, bytes.
    static constexpr std::uint64_t stretch = 512 * 1024;
    /// How long a client that has everything may take to close.
    static constexpr std::chrono::seconds linger{2};

    transfer(engine& owner, offer offered, file_descriptor client, std::vector<file_reference> files,
             std::unique_ptr<tls_channel> tls);
    ~transfer();

    /// Has the loop watch the client; false if the kernel refuses.
    [[nodiscard]] bool watch() noexcept;
    /// The response is ours now.
    void begin(std::uint64_t number, std::size_t limits_class) noexcept;
    /// It waits for its turn: nothing is sent, and the client may leave.
    void wait();
    /// Its turn has come: prepares the socket and counts from here.
    void start();
    /// No turn has come: from now on the response is 503, whose turn it is.
    void turn_away();
    [[nodiscard]] std::size_t limits_class() const noexcept { return class_; }
    /// The limits have changed: its class has this index now, and bounded it so before. Times that run are
    /// set anew.
    void limits_changed(std::size_t limits_class, const limits& before);
    [[nodiscard]] request_facts facts() const noexcept { return offer_.facts(); }

    /// Sends until the socket is full or the quantum is used.
    void turn();
    /// The deadline has come: ends what stalls, or sets the next one.
    void on_deadline();
    void on_events(std::uint32_t events) override;

    /// Whether every byte is with the kernel.
    [[nodiscard]] bool all_sent() const noexcept {
        return cursor_.position() == total_ && (!tls_ || (closing_ && tls_->all_sent()));
    }
    /// Whether TCP has every byte. Where the kernel seals, a record may still wait behind it, for room:
    /// neither shutdown(2) nor close(2) waits for that.
    [[nodiscard]] bool all_in_tcp() const noexcept {
        return all_sent() && (!tls_ || !tls_->in_kernel() || progress_.written(client_.get()) >= written());
    }
    /// Makes close() reset the connection: for responses that end short, so that none passes for whole.
    void reset_on_close() noexcept;
    /// Gives the connection up, as it came but for what was sent on it; the loop still watches it.
    [[nodiscard]] file_descriptor release_client() noexcept;
    /// Where it goes with its client's next request.
    [[nodiscard]] return_terms returning() const noexcept { return offer_.returning(); }
    /// What the log says of it now; `id` and `manager` are the engine's to add.
    [[nodiscard]] transfer_record record(outcome how) const;
    /// What a listing says; `id` and `manager` likewise.
    [[nodiscard]] transfer_listing listing() const;
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] bool is_tls() const noexcept { return tls_ != nullptr; }

    /// What takes part in the rates for it.
    struct rate_entry final : bandwidth::entry {
        explicit rate_entry(transfer& whose) noexcept : owner(whose) {}
        transfer& owner;
    };
    /// Rates may have come into force. Throws std::bad_alloc: then none binds it.
    void rates_changed();
    void leave_rates() noexcept;

    transfer* next_ready = nullptr; ///< the engine's turn queue
    transfer* previous_ready = nullptr;
    transfer* next = nullptr; ///< the engine's list of all
    transfer* previous = nullptr;
    bool in_turn_queue = false;

  private:
    enum class state : std::uint8_t { queued, sending, reading, delivering, lingering };
    enum class step : std::uint8_t { sent, would_block, must_read, client_gone, file_changed, failed };

    [[nodiscard]] std::string_view state_name() const noexcept;
    void send_turn();
    [[nodiscard]] std::uint64_t may_send();
    [[nodiscard]] step send_some(std::uint64_t most);
    [[nodiscard]] std::uint64_t plain_room() noexcept;
    [[nodiscard]] step send_memory(const plan_piece& piece, std::uint64_t within, std::uint64_t most);
    [[nodiscard]] step send_file(const plan_piece& piece, std::uint64_t within, std::uint64_t most);
    void advance(std::uint64_t bytes) noexcept;
    /// Whether the `needed` bytes of the file from there on, of one piece, are in memory; if not, asks for
    /// the stretch that begins there.
    [[nodiscard]] bool make_warm(const response_cursor& at, std::uint64_t needed);
    /// With TLS (transfer_tls.cpp):
    [[nodiscard]] step send_sealed(std::uint64_t most);
    [[nodiscard]] std::size_t room() noexcept;
    [[nodiscard]] step gather(response_cursor& from, std::span<std::uint8_t> into, scattered_read& reads);
    [[nodiscard]] static step finish_reads(scattered_read& reads);
    [[nodiscard]] step hear_client();
    [[nodiscard]] step send_control();
    void wait_behind_kernel_tls();
    /// Bytes on the wire that the kernel was given, and those of the response that the client has.
    [[nodiscard]] std::uint64_t written() const noexcept {
        return tls_ ? tls_->wire_sent(client_.get(), cursor_.position()) : cursor_.position();
    }
    [[nodiscard]] std::uint64_t delivered() const noexcept;
    [[nodiscard]] const limits& own_limits() const noexcept;
    void keep_pace();
    void enter_rates();
    void note_spent(std::uint64_t bytes) noexcept;
    [[nodiscard]] bool is_too_slow(clock::time_point now) noexcept;
    void set_low_water(int bytes) noexcept;
    void set_options() noexcept;
    void note_kernel_holds(std::uint64_t bytes) noexcept;
    void adapt_low_water() noexcept;
    void raise_low_water() noexcept;
    void start_delivering();
    void deliver_turn();
    void start_lingering();
    void linger_turn();
    void wait_for_acknowledgement();
    [[nodiscard]] outcome outcome_at_reset() const noexcept;
    void note_progress() noexcept;

    engine& engine_;
    offer offer_;
    std::vector<file_reference> files_;
    tcp_progress progress_;
    std::uint64_t number_ = 0;
    std::uint64_t total_;            ///< bytes of the response
    response_cursor cursor_;         ///< what the kernel has been given; with TLS in whole records
    std::uint64_t warm_until_ = 0;   ///< file offset up to which piece warm_piece_ is known to be in memory
    std::uint64_t last_acked_ = 0;   ///< of written(), what the client had acknowledged when last asked
    std::uint64_t window_acked_ = 0; ///< last_acked_ when min_rate_window began
    std::uint64_t kernel_holds_ = 0; ///< for the client, bytes, when last asked
    clock::time_point began_{};      ///< with the claim
    clock::time_point started_{};    ///< with its turn
    clock::time_point window_began_{};
    clock::time_point blocked_at_{};
    clock::time_point progressed_{}; ///< when last_acked_ was last seen to grow
    read_ahead::request* reading_ = nullptr;
    file_descriptor client_;
    std::unique_ptr<tls_channel> tls_;  ///< null for plain TCP
    std::unique_ptr<rate_entry> rates_; ///< null while no rate can bind it, as for most: it is large
    std::uint32_t ask_pause_ms_ = 0;
    int low_water_ = 0;
    std::uint16_t class_ = 0;
    std::uint32_t warm_piece_ = 0;
    state state_ = state::queued;
    bool turned_away_ = false;
    bool options_set_ = false; ///< the socket's: not before it waits for its client
    bool paced_ = false;       ///< its own rate is in force
    bool held_up_ = false;     ///< by us, not by its client, in this min_rate_window
    bool blocked_ = false;     ///< the socket was full at the last turn
    bool broken_ = false;      ///< the record layer has failed: nothing can be sent
    bool shut_ = false;        ///< the FIN is behind the response
    bool closing_ = false;     ///< TLS: close_notify is due or sent
    bool input_ = false;       ///< the client has sent something that was not looked at
};

} // namespace dlhandoff::engine
