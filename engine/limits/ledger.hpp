#pragma once

#include "engine/limits/keyed_hash.hpp"
#include "shared/sealed_memory.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace dlhandoff::engine {

class ledger_member;

/// What several engines (managers of a service, children of an httpd) tell each other about their use of
/// limits: a table in shared memory, made before fork() and inherited. A single process needs none.
///
/// Each engine is a member and has a column that it alone writes. To know what the others use, it sums their
/// columns. So there is nothing to lock and nothing to repair: what a killed member held is gone as soon as
/// its column is cleared. Clearing may be done twice, or may be interrupted and begun again.
///
/// There are exact counters for all transfers together and for each class. Clients, whose number has no
/// bound, are counted in a count-min sketch (Cormode and Muthukrishnan, 2005) in each column: 4 rows of
/// 2^bits cells; a client counts in one cell of each row, and the estimate of its use is the least of its
/// four sums. The estimate is never too low, except at the moment in which another member changes its cells.
/// Where the others hold k transfers, it is too high with a probability of at most (2k / 2^bits)^4, since
/// each transfer counts twice, once for its client and once for its client within its class. With 12 bits
/// that is 0.01 % at k = 200 and 6 % at 1,000; with 16 bits it is 0.0001 % at 1,000. The hash has a random
/// key, so that nobody can choose colliding clients.
///
/// Memory: a page and 2^bits * 8 bytes for each column. Pages that were never used cost nothing.
///
/// Processes are known by their pid. If another process gets the pid of a killed one before its column is
/// cleared, the column stays held until that other process has ended, too. Members trust each other.
class ledger {
  public:
    static constexpr std::uint32_t max_classes = 64; ///< index 0 to 63
    static constexpr std::uint32_t rows = 4;
    static constexpr std::uint32_t max_members = 1U << 16;
    static constexpr std::uint32_t min_bits = 4;
    static constexpr std::uint32_t common_bits = 12;
    static constexpr std::uint32_t max_bits = 16; ///< four indexes fit into one hash

    /// Creates a ledger with room for so many members at the same time. Throws std::invalid_argument (no
    /// members or too many, bits out of range), std::system_error,
    /// boost::interprocess::interprocess_exception.
    [[nodiscard]] static ledger create(std::uint32_t members, std::uint32_t bits = common_bits);

    [[nodiscard]] std::uint32_t members() const noexcept { return members_; }

    /// Takes a free column for this process, or the column of a process that no longer exists; nullopt if all
    /// are held. The ledger's memory must outlive the member; moving the ledger is harmless.
    [[nodiscard]] std::optional<ledger_member> join() const;
    /// Takes the column of this index, for a supervisor that assigns them; nullopt if an existing process
    /// holds it. Throws std::out_of_range.
    [[nodiscard]] std::optional<ledger_member> join(std::uint32_t index) const;

    /// Supervisor: clears the column of a process that it has seen end (waitpid), and frees it. Returns false
    /// and does nothing if that process doesn't hold the column: another process was faster. Throws
    /// std::out_of_range.
    bool clear(std::uint32_t index, pid_t ended) const;
    /// Clears and frees all columns of processes that no longer exist; returns how many. A system call for
    /// each column that is held: cheap enough once a second.
    std::size_t reclaim_dead() const noexcept;
    /// How many columns are held.
    [[nodiscard]] std::size_t held() const noexcept;
    /// Which process holds the column; 0: none. Throws std::out_of_range.
    [[nodiscard]] pid_t holder(std::uint32_t index) const;

  private:
    friend class ledger_member;
    struct header;
    struct column;
    ledger(sealed_memory memory, std::uint32_t members) noexcept;
    [[nodiscard]] header& head() const noexcept;
    [[nodiscard]] column& column_at(std::uint32_t index) const;
    [[nodiscard]] std::optional<ledger_member> take(std::uint32_t index, pid_t from) const;

    sealed_memory memory_;
    std::uint32_t members_ = 0;
};

/// An engine's own column: it writes this one, and reads the others'. One thread. The destructor clears and
/// frees the column; in a process that was forked later it does nothing.
class ledger_member {
  public:
    /// Numbers of transfers; `demand` is the number of clients that could use more of a shared rate.
    struct use {
        std::uint64_t active = 0;
        std::uint64_t waiting = 0;
        std::uint64_t demand = 0;
        friend bool operator==(const use&, const use&) = default;
    };

    ledger_member(ledger_member&& other) noexcept;
    ledger_member& operator=(ledger_member&& other) noexcept;
    ledger_member(const ledger_member&) = delete;
    ledger_member& operator=(const ledger_member&) = delete;
    ~ledger_member() { leave(); }

    /// Clears and frees the column; nothing but this and assignment may be called afterwards.
    void leave() noexcept;
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

    /// The hash by which a client is known in this ledger.
    [[nodiscard]] const hash_key& key() const noexcept;

    // The own column. These count for all together, for the class (an index below max_classes), and for the
    // client. All increases have a single order, and a member sees every increase that comes before its own:
    // if two members first count and then look, at least one sees the other. A cell that has reached 65,535
    // stays there until the member has nothing active at all; until then it reads as unlimited use.
    void add_active(std::uint32_t class_index, std::uint64_t client) noexcept;
    void remove_active(std::uint32_t class_index, std::uint64_t client) noexcept;
    void add_waiting(std::uint32_t class_index) noexcept;
    void remove_waiting(std::uint32_t class_index) noexcept;
    /// Of all together, or of the class.
    void set_demand(std::uint32_t count) noexcept;
    void set_demand(std::uint32_t class_index, std::uint32_t count) noexcept;

    // What all other members use.
    [[nodiscard]] use others() const noexcept;
    [[nodiscard]] use others(std::uint32_t class_index) const noexcept;
    /// An estimate of the client's active transfers.
    [[nodiscard]] std::uint64_t others_active(std::uint64_t client) const noexcept;
    [[nodiscard]] std::uint64_t others_active(std::uint32_t class_index, std::uint64_t client) const noexcept;

    /// Publishes the best request that waits only for a place among all, as a number: the higher, the better.
    /// 0: none. See front_of().
    void set_front(std::uint64_t front) noexcept;
    struct better_fronts {
        std::uint32_t count = 0; ///< members whose front is better
        std::uint64_t best = 0;  ///< the best of these
    };
    /// The members whose front is better than `front`; a front equal to `ignored` doesn't count.
    [[nodiscard]] better_fronts others_better(std::uint64_t front, std::uint64_t ignored = 0) const noexcept;

  private:
    friend class ledger;
    ledger_member(ledger::header& head, std::uint32_t index) noexcept : head_(&head), index_(index) {}
    [[nodiscard]] ledger::column& own() const noexcept;
    template <class Visit>
    void visit_others(Visit visit) const noexcept;
    [[nodiscard]] std::uint64_t estimate(std::uint64_t hash) const noexcept;

    ledger::header* head_ = nullptr; ///< null: has left
    std::uint32_t index_ = 0;
    bool saturated_ = false; ///< a cell of the own column has reached its maximum
};

/// The number for set_front(): higher priority first (beyond ±32,767 they count as equal), then the longer
/// wait (CLOCK_MONOTONIC, in microseconds). Never 0.
[[nodiscard]] std::uint64_t front_of(std::int32_t priority, std::int64_t since_nanoseconds) noexcept;

} // namespace dlhandoff::engine
