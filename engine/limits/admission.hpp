#pragma once

#include "engine/clock.hpp"
#include "engine/limits/keyed_hash.hpp"
#include "engine/limits/ledger.hpp"
#include "engine/limits/limits.hpp"

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dlhandoff::engine {

struct admission_tag; ///< tag of the hook in a request

/// Decides which transfers may send, which wait, and which is next. A data structure only: it does no I/O and
/// has no clock; the engine passes `now`. One thread.
///
/// It limits the transfers of all together and of each class, those of each client (over all classes and
/// within a class; `limits`: transfers, per_client), and how many may wait (queue). Those that wait and may
/// start go in this order:
///
/// 1. classes of higher priority first;
/// 2. among classes of one priority by weight: stride scheduling (Waldspurger and Weihl, 1995);
/// 3. within a class, round robin among clients: opening more connections brings no more turns;
/// 4. within a client's share of a class, first come, first served.
///
/// No request overtakes: one that comes while another one could start waits its turn. Each operation costs
/// O(classes), however many requests wait. With a ledger, each look at it also costs O(members), and next()
/// may need recheck_shares looks for each class. Only set_limits() visits all requests. A client is known, by
/// its key, while it has a request here; the key's text is kept once.
///
/// With a ledger, limits hold over all its members. A start is counted in the ledger first, then the sum is
/// checked, and if it is too high the count is taken back: so no limit is ever exceeded, whatever the race.
/// Requests that the other members' use holds back are put aside; while held_back(), the engine calls
/// recheck() every 10 to 20 ms, then next(). A place among all is left to another member whose first waiting
/// request is better than this member's own, but for 50 ms at most, and then not again to the same request.
class admission {
    struct share;
    struct client;
    struct class_queue;

  public:
    /// Other members' use of limits changes without notice. This bounds how many clients recheck() takes up
    /// again at a time, and how many clients of a class next() may look at in vain until then.
    static constexpr std::size_t recheck_shares = 256;
    static constexpr std::chrono::milliseconds front_patience{50};

    enum class answer : std::uint8_t {
        admitted, ///< it may send
        waits,    ///< next() will return it
        full      ///< neither: the request was not taken
    };

    /// A request; base class of a transfer. Its owner must call leave() before it is destroyed.
    class entry : public boost::intrusive::list_base_hook<boost::intrusive::tag<admission_tag>> {
      public:
        enum class state : std::uint8_t { out, waiting, admitted };
        entry() = default;
        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;
        [[nodiscard]] state admission_state() const noexcept { return state_; }
        /// For a request that is not out. Changes with set_limits().
        [[nodiscard]] std::size_t class_index() const noexcept;
        /// For a request that is not out. The admission owns the text.
        [[nodiscard]] std::string_view client_key() const noexcept;

      private:
        friend class admission;
        state state_ = state::out;
        share* share_ = nullptr;
        clock::time_point since_; ///< when it came
    };

    /// The member must outlive the admission; null: this process is alone. Throws as set_limits() does.
    explicit admission(const limit_table& limits, ledger_member* member = nullptr);
    admission(const admission&) = delete;
    admission& operator=(const admission&) = delete;
    ~admission();

    /// `one` must be out. An unknown class counts as class 0. If it throws std::bad_alloc, nothing has
    /// changed. After `waits` call next(): if `one` waits only for its turn, another request can start.
    [[nodiscard]] answer enter(entry& one, std::size_t class_index, std::string_view client_key,
                               clock::time_point now);
    /// What enter() would say now, without effect. With a ledger this is a guess: other members may be
    /// faster.
    [[nodiscard]] answer foresee(std::size_t class_index, std::string_view client_key,
                                 clock::time_point now) const;
    /// Takes out a request that waits or is admitted; does nothing if it is out. What it held is free at
    /// once; call next().
    void leave(entry& one) noexcept;
    /// The next waiting request that may start, admitted now; null if there is none. Call until null after
    /// enter(), leave(), set_limits() and recheck().
    [[nodiscard]] entry* next(clock::time_point now) noexcept;

    /// Sets new limits; classes are matched by name. Requests of a class that is gone move to class 0, in the
    /// order in which they came. Transfers that are being sent go on, even over a lowered limit. Throws
    /// std::invalid_argument (no class or more than 64, a name twice, a weight of 0), std::bad_alloc; then
    /// nothing has changed.
    void set_limits(const limit_table& limits);

    /// Whether a request waits for other members of the ledger to use less.
    [[nodiscard]] bool held_back() const noexcept;
    /// Lets next() look again at what was held back: up to recheck_shares clients each time.
    void recheck() noexcept;

    [[nodiscard]] std::size_t active() const noexcept { return active_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
    /// Of a class; its index must be one of the table's.
    [[nodiscard]] std::size_t active(std::size_t class_index) const noexcept;
    [[nodiscard]] std::size_t waiting(std::size_t class_index) const noexcept;
    /// Of a client, over all classes or in one.
    [[nodiscard]] std::size_t client_active(std::string_view client_key) const noexcept;
    [[nodiscard]] std::size_t client_active(std::string_view client_key,
                                            std::size_t class_index) const noexcept;
    [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

  private:
    using entry_list = boost::intrusive::list<
        entry,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<admission_tag>>>,
        boost::intrusive::constant_time_size<false>>;

    /// Where a share with waiting requests stands in its class queue.
    enum class place : std::uint8_t {
        nowhere, ///< it has no waiting request
        ring,    ///< it may start one more
        parked,  ///< its client is at a limit
        aside    ///< its client is at a limit with what it has at other members
    };

    /// A client within a class.
    struct share : boost::intrusive::list_base_hook<> {
        share(client& of, class_queue& in) noexcept : owner(&of), at(&in) {}
        client* owner;
        class_queue* at;
        place stands = place::nowhere;
        std::uint32_t active = 0;
        entry_list waiting;  ///< first come, first served
        entry_list admitted; ///< so that all can be found when the class is removed
    };
    using share_list = boost::intrusive::list<share, boost::intrusive::constant_time_size<false>>;

    struct client {
        std::string_view key; ///< of the map
        std::uint64_t hash = 0;
        std::uint32_t active = 0;
        std::list<share> shares; ///< none empty
    };

    /// All classes of one priority.
    struct level {
        std::int32_t priority = 0;
        std::uint64_t virtual_time = 0; ///< the pass of the class queue that was served last
    };

    /// What waits in one class.
    struct class_queue {
        std::string name;
        limits own;
        std::uint32_t index = 0;      ///< of the class, in the table
        std::uint32_t next_index = 0; ///< in the table that comes
        std::uint64_t stride = 0;
        std::int32_t priority = 0;
        std::size_t level_index = 0;
        std::uint64_t pass = 0;
        bool running = false;  ///< it could be served when last looked at
        bool held = false;     ///< until recheck(): other members use up the class, or its looks are used up
        std::size_t looks = 0; ///< since recheck(), at clients that turned out to be at a limit elsewhere
        std::uint32_t active = 0;
        std::uint32_t waiting = 0;
        share_list ring, parked, aside;

        [[nodiscard]] share_list& list_of(place where) noexcept;
        [[nodiscard]] bool servable() const noexcept;
    };

    /// What prevents a start.
    enum class obstacle : std::uint8_t { none, all, transfer_class, client };

    [[nodiscard]] class_queue& queue_of(std::size_t class_index) const noexcept;
    [[nodiscard]] share& find_or_make(class_queue& in, std::string_view client_key);
    void drop_if_empty(share& one) noexcept;
    void place_at(share& one, place where) noexcept;
    [[nodiscard]] bool at_own_limit(const share& one) const noexcept;
    /// Moves the client's shares to where they belong, after its own use has changed.
    void replace_shares(client& one) noexcept;
    [[nodiscard]] bool somebody_could_start() const noexcept;
    [[nodiscard]] bool queue_is_full(const class_queue& in) const noexcept;
    [[nodiscard]] class_queue* pick() noexcept;
    void charge(class_queue& served) noexcept;
    void admit(share& in, entry& one) noexcept;

    [[nodiscard]] obstacle against(const class_queue& in, const client* of, const share* with,
                                   std::uint64_t hash) const noexcept;
    /// Counts the start in the ledger, or says what prevents it.
    [[nodiscard]] obstacle hold(const share& in, clock::time_point since, clock::time_point now) noexcept;
    [[nodiscard]] ledger_member::better_fronts fronts_to_yield_to(std::int32_t priority,
                                                                  clock::time_point since) const noexcept;
    [[nodiscard]] bool yields(std::int32_t priority, clock::time_point since, clock::time_point now) noexcept;
    void publish_front() noexcept;
    void forget_held_back() noexcept;

    // For set_limits().
    static void park_all(class_queue& in) noexcept;
    void renumber_classes() noexcept;
    void move_to_default(share& one) noexcept;

    ledger_member* member_;
    limits all_;
    std::vector<std::unique_ptr<class_queue>> queues_;
    std::vector<level> levels_;
    std::unordered_map<std::string, client, client_hash, std::equal_to<>> clients_;
    std::uint32_t active_ = 0;
    std::uint32_t waiting_ = 0;
    bool held_ = false;            ///< until recheck(): there is no place among all, or it is left to others
    std::size_t recheck_line_ = 0; ///< where the next recheck() begins
    std::uint64_t yielded_to_ = 0; ///< the front that a place is being left to
    std::uint64_t given_up_ = 0;   ///< one that has left its place for too long: a stopped member's, say
    clock::time_point yielded_since_;
};

} // namespace dlhandoff::engine
