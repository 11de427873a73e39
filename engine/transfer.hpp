#pragma once

#include "engine/client/channel.hpp"
#include "engine/client/client_socket.hpp"
#include "engine/deadline_heap.hpp"
#include "engine/event_loop.hpp"
#include "engine/files/file_failure.hpp"
#include "engine/files/read_ahead.hpp"
#include "engine/limits/admission.hpp"
#include "engine/limits/transfer_pace.hpp"
#include "engine/response.hpp"
#include "engine/transfer_log.hpp"
#include "shared/offer.hpp"
#include "shared/transfer_listing.hpp"

#include <boost/intrusive/list_hook.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace dlhandoff::engine {

class channel_workplace;
class tcp_memory;
class transfer;

/// Who keeps transfers, and hears from them.
class transfer_owner {
  public:
    /// It can go on: call its turn() soon, from the loop. Nothing happens if that is to come already.
    virtual void on_ready(transfer& one) noexcept = 0;
    /// The client has the whole response, which is all that limits count; only the closing is left.
    virtual void on_delivered(transfer& one) noexcept = 0;
    /// Its turn has not come in time: turn_away() is next.
    virtual void on_queue_timeout(transfer& one) = 0;
    /// It is over: destroy it.
    virtual void on_end(transfer& ended, outcome how, connection_end end) noexcept = 0;

  protected:
    ~transfer_owner() = default;
};

/// What all transfers of an engine share. Outlives them.
struct transfer_surroundings {
    event_loop& loop;
    deadline_heap<transfer>& deadlines;
    read_ahead& reading;
    channel_workplace& workplace;
    tcp_memory& memory;
    bandwidth& rates;
    burst_allowance& bursts;
    const limit_table& limits;
    const file_failure_hook& on_file_failure;
    std::uint64_t& bytes_sent; ///< of responses, given to the kernel, all together
    transfer_owner& owner;
};

/// One response on its way to one client, over whatever channel.
///
///     queued ──has its turn, or queue_timeout: then 503 is the response──> sending
///
///     sending ──last byte written──> lingering ──client has all and has closed, or 2 s──> over
///      │ │           (keep-alive) └> delivering ──client has all──> over
///      │ └─cold file──> reading ──read ahead──┐
///      └──────────────────────────────────────┘
///
/// One thread, the loop's. Every path ends in transfer_owner::on_end(), which destroys it: callers must not
/// touch a transfer after turn() or on_deadline().
class transfer final : public event_handler,
                       public read_ahead::listener,
                       public deadline_hook,
                       public admission::entry {
  public:
    /// Bytes given to the kernel in one turn at most, so that many fast clients share.
    static constexpr std::uint64_t quantum = 512 * 1024;
    /// How long a client that has everything may be silent before it closes, and how long it may go on with
    /// what it sends: as httpd's own lingering close.
    static constexpr std::chrono::seconds linger{2};
    static constexpr std::chrono::seconds longest_linger{30};

    transfer(const transfer_surroundings& shared, offer offered, file_descriptor client,
             std::vector<file_reference> files, channel::pointer over);
    ~transfer();

    /// Has the loop watch the client; false if the kernel refuses.
    [[nodiscard]] bool watch() noexcept;
    /// The response is ours now.
    void begin(std::uint64_t number, std::size_t limits_class) noexcept;
    /// It waits for its turn: nothing is sent. A client that resets the connection is gone; one that sends
    /// its FIN may still want the response.
    void wait();
    /// Its turn has come: prepares the socket and counts from here.
    void start();
    /// No turn has come: from now on the response is 503, whose turn it is.
    void turn_away();
    [[nodiscard]] std::size_t limits_class() const noexcept { return class_; }
    /// The limits have changed: its class has this index now, and bounded it so before. Times that run are
    /// set anew.
    void limits_changed(std::size_t limits_class, const limits& before);
    /// Rates may have come into force. Throws std::bad_alloc: then none binds it.
    void rates_changed();

    /// Sends until the socket is full or the quantum is used.
    void turn();
    /// The deadline has come: ends what stalls, or sets the next one.
    void on_deadline();
    void on_events(std::uint32_t events) override;
    void on_read(const read_ahead::result& what) noexcept override;

    /// It is over, and its connection is to be closed: has that reset the connection unless the client may
    /// keep what the kernel queued for it, so that no response that ends short passes for whole.
    void prepare_close(outcome how) noexcept;
    /// It is over: takes part in no rate any more.
    void leave_rates() noexcept { pace_.leave(shared_.rates); }
    /// What its thread still knows of its keys is wiped.
    void forget_keys() const noexcept { channel_->forget_keys(shared_.workplace); }
    /// Gives the connection up, as it came but for what was sent on it; the loop still watches it.
    [[nodiscard]] file_descriptor release_client() noexcept;

    [[nodiscard]] request_facts facts() const noexcept { return response_.what().facts(); }
    /// Where its connection goes with its client's next request.
    [[nodiscard]] return_terms returning() const noexcept { return response_.what().returning(); }
    /// What the log says of it now; `id` and `manager` are the owner's to add.
    [[nodiscard]] transfer_record record(outcome how) const;
    /// What a listing says; `id` and `manager` likewise.
    [[nodiscard]] transfer_listing listing() const;
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

    using list_hook = boost::intrusive::list_member_hook<>;
    list_hook all_hook;   ///< the owner's list of all
    list_hook ready_hook; ///< its list of those that are ready for a turn

  private:
    enum class step : std::uint8_t { sent, would_block, must_read, client_gone, file_changed, failed };
    enum class state : std::uint8_t { queued, sending, reading, delivering, lingering };

    [[nodiscard]] std::string_view state_name() const noexcept;
    void end(outcome how, connection_end with = connection_end::close) noexcept;
    void send_turn();
    [[nodiscard]] step send_some(std::uint64_t most);
    [[nodiscard]] step hear_client();
    void report_unreadable(const shared_file& file, std::uint64_t offset, int error) const noexcept;
    [[nodiscard]] bool all_sent() const noexcept { return response_.left() == 0 && channel_->finished(); }
    [[nodiscard]] std::uint64_t may_send();
    void keep_own_rate();
    void note_spent(std::uint64_t bytes) noexcept;
    void enter_rates();
    void note_full();
    void note_held(std::uint64_t bytes) noexcept;
    void start_delivering();
    void deliver_turn();
    void start_lingering();
    void linger_turn();
    void wait_for_acknowledgement();
    [[nodiscard]] std::uint64_t written() const noexcept {
        return channel_->wire_bytes(client_.get(), response_.position());
    }
    [[nodiscard]] std::uint64_t delivered() const noexcept;
    [[nodiscard]] outcome outcome_at_reset() const noexcept;
    void note_progress() noexcept;
    [[nodiscard]] const limits& own_limits() const noexcept;
    void set_deadline(clock::time_point when) { shared_.deadlines.set(*this, when); }
    [[nodiscard]] clock::time_point now() const noexcept { return shared_.loop.now(); }

    const transfer_surroundings& shared_;
    response response_;
    client_socket client_;
    channel::pointer channel_;
    transfer_pace pace_;
    std::uint64_t number_ = 0;
    std::uint64_t last_acked_ = 0; ///< of written(), what the client had acknowledged when last asked
    clock::time_point began_{};    ///< with the claim
    clock::time_point started_{};  ///< with its turn
    clock::time_point blocked_at_{};
    clock::time_point progressed_{}; ///< when last_acked_ was last seen to grow
    clock::time_point linger_end_{}; ///< whatever the client still sends then
    read_ahead::request* reading_ = nullptr;
    std::uint32_t ask_pause_ms_ = 0;
    std::uint16_t class_ = 0;
    state state_ = state::queued;
    bool turned_away_ = false;
    bool blocked_ = false;    ///< the socket was full at the last turn
    bool broken_ = false;     ///< the channel could not start: nothing can be sent
    bool shut_ = false;       ///< the FIN is behind the response
    bool input_ = false;      ///< the client has sent something that was not looked at
    bool more_input_ = false; ///< of that, more than one turn listens to: no event tells of it
};

} // namespace dlhandoff::engine
