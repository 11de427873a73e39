#include "engine/limits/ledger.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::size_t page_size = 4096;
constexpr std::uint16_t cell_end = std::numeric_limits<std::uint16_t>::max();

struct counters {
    std::atomic<std::uint32_t> active;
    std::atomic<std::uint32_t> waiting;
    std::atomic<std::uint32_t> demand;
};

/// A client's active transfers.
using cell = std::atomic<std::uint16_t>;
static_assert(sizeof(cell) == 2 && std::atomic<std::uint16_t>::is_always_lock_free &&
              std::atomic<std::uint64_t>::is_always_lock_free);

// A column has one writer, so a load and a store make an increment. Increases are sequentially consistent,
// as the loads of others are: see ledger_member.
template <class Number>
void increase(std::atomic<Number>& counter) noexcept {
    const Number now = counter.load(std::memory_order_relaxed);
    if (now != std::numeric_limits<Number>::max())
        counter.store(static_cast<Number>(now + 1), std::memory_order_seq_cst);
}

void decrease(std::atomic<std::uint32_t>& counter) noexcept {
    const std::uint32_t now = counter.load(std::memory_order_relaxed);
    if (now != 0)
        counter.store(now - 1, std::memory_order_release);
}

void decrease(std::atomic<std::uint16_t>& counter) noexcept {
    const std::uint16_t now = counter.load(std::memory_order_relaxed);
    if (now != 0 && now != cell_end)
        counter.store(static_cast<std::uint16_t>(now - 1), std::memory_order_release);
}

/// Another hash for a client within a class: a bijection that scatters (the finaliser of MurmurHash3).
std::uint64_t within_class(std::uint64_t client, std::uint32_t class_index) noexcept {
    std::uint64_t hash = client + (std::uint64_t{class_index} + 1) * 0x9e3779b97f4a7c15;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
    return hash ^ hash >> 33;
}

bool exists(pid_t process) noexcept {
    return ::kill(process, 0) == 0 || errno != ESRCH;
}

} // namespace

struct ledger::header {
    hash_key key;
    std::uint32_t members;
    std::uint32_t bits;
    std::size_t column_size;
    alignas(64) std::atomic<std::uint32_t> used; ///< columns from here on were never held

    [[nodiscard]] column& at(std::uint32_t index) noexcept {
        return *reinterpret_cast<column*>(reinterpret_cast<std::byte*>(this) + page_size +
                                          index * column_size);
    }
};

/// Zero is free and empty, so that new memory needs no writing.
struct ledger::column {
    alignas(64) std::atomic<pid_t> holder;
    std::atomic<std::uint64_t> front;
    counters all;
    alignas(64) std::array<counters, max_classes> classes;

    [[nodiscard]] cell* sketch() noexcept {
        return reinterpret_cast<cell*>(reinterpret_cast<std::byte*>(this) + page_size);
    }
    template <class Visit>
    void visit_cells(std::uint64_t hash, std::uint32_t bits, Visit visit) noexcept {
        const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
        for (std::uint32_t row = 0; row < rows; ++row)
            visit(row, sketch()[(std::uint64_t{row} << bits) + (hash >> 16 * row & mask)]);
    }

    /// By whoever holds the column, or has taken it over: nobody else writes it.
    void zero(std::size_t size) noexcept {
        static_assert(sizeof(column) <= page_size);
        front.store(0, std::memory_order_release);
        for (counters* one : {&all, classes.data()}) {
            const std::size_t count = one == &all ? 1 : classes.size();
            for (std::size_t i = 0; i < count; ++i) {
                one[i].active.store(0, std::memory_order_release);
                one[i].waiting.store(0, std::memory_order_release);
                one[i].demand.store(0, std::memory_order_release);
            }
        }
        // Gives the pages back, which reads as zero from then on: madvise(2).
        if (::madvise(sketch(), size - page_size, MADV_REMOVE) != 0)
            for (std::size_t i = 0; i < (size - page_size) / sizeof(cell); ++i)
                sketch()[i].store(0, std::memory_order_release);
    }
};

ledger::ledger(sealed_memory memory, std::uint32_t members) noexcept
    : memory_(std::move(memory)), members_(members) {}

ledger::header& ledger::head() const noexcept {
    return *static_cast<header*>(memory_.address());
}

ledger::column& ledger::column_at(std::uint32_t index) const {
    if (index >= members_)
        throw std::out_of_range("ledger: there is no column " + std::to_string(index) + ", only " +
                                std::to_string(members_));
    return head().at(index);
}

ledger ledger::create(std::uint32_t members, std::uint32_t bits) {
    if (members == 0 || members > max_members)
        throw std::invalid_argument("ledger: " + std::to_string(members) + " members; allowed are 1 to " +
                                    std::to_string(max_members));
    if (bits < min_bits || bits > max_bits)
        throw std::invalid_argument("ledger: " + std::to_string(bits) + " bits; allowed are " +
                                    std::to_string(min_bits) + " to " + std::to_string(max_bits));
    const std::size_t sketch_size = (std::size_t{rows} << bits) * sizeof(cell);
    const std::size_t column_size = page_size + (sketch_size + page_size - 1) / page_size * page_size;
    const std::size_t size = page_size + members * column_size;
    // A memfd's pages are accounted for when they are first written, not when they are mapped. Its descriptor
    // is needed no longer then: children inherit the mapping.
    auto memory = sealed_memory::create("dlhandoff-ledger", size);
    memory.close_descriptor();
    auto* head = new (memory.address()) header{};
    head->key = random_hash_key();
    head->members = members;
    head->bits = bits;
    head->column_size = column_size;
    return {std::move(memory), members};
}

/// The compare-and-swap decides who may clear the column; until it is clear the taker's pid stands there, so
/// that a taker which is killed over it leaves a column to be taken again.
std::optional<ledger_member> ledger::take(std::uint32_t index, pid_t from) const {
    column& place = column_at(index);
    if (!place.holder.compare_exchange_strong(from, ::getpid(), std::memory_order_acq_rel))
        return std::nullopt;
    if (from != 0)
        place.zero(head().column_size);
    std::uint32_t used = head().used.load();
    while (used <= index && !head().used.compare_exchange_weak(used, index + 1)) {
    }
    return ledger_member(head(), index);
}

std::optional<ledger_member> ledger::join() const {
    for (std::uint32_t index = 0; index < members_; ++index)
        if (auto taken = take(index, 0))
            return taken;
    for (std::uint32_t index = 0; index < members_; ++index)
        if (auto taken = join(index))
            return taken;
    return std::nullopt;
}

std::optional<ledger_member> ledger::join(std::uint32_t index) const {
    const pid_t holding = holder(index);
    if (holding != 0 && exists(holding))
        return std::nullopt;
    return take(index, holding);
}

bool ledger::clear(std::uint32_t index, pid_t ended) const {
    return ended != 0 && take(index, ended).has_value(); // what was taken has left again
}

std::size_t ledger::reclaim_dead() const noexcept {
    std::size_t cleared = 0;
    const std::uint32_t used = head().used.load();
    for (std::uint32_t index = 0; index < used; ++index) {
        const pid_t holding = head().at(index).holder.load();
        if (holding != 0 && !exists(holding) && take(index, holding))
            ++cleared;
    }
    return cleared;
}

std::size_t ledger::held() const noexcept {
    std::size_t count = 0;
    const std::uint32_t used = head().used.load();
    for (std::uint32_t index = 0; index < used; ++index)
        count += head().at(index).holder.load(std::memory_order_relaxed) != 0 ? 1U : 0U;
    return count;
}

pid_t ledger::holder(std::uint32_t index) const {
    return column_at(index).holder.load(std::memory_order_acquire);
}

ledger_member::ledger_member(ledger_member&& other) noexcept
    : head_(std::exchange(other.head_, nullptr)), index_(other.index_), saturated_(other.saturated_) {}

ledger_member& ledger_member::operator=(ledger_member&& other) noexcept {
    if (this != &other) {
        leave();
        head_ = std::exchange(other.head_, nullptr);
        index_ = other.index_;
        saturated_ = other.saturated_;
    }
    return *this;
}

ledger::column& ledger_member::own() const noexcept {
    return head_->at(index_);
}

void ledger_member::leave() noexcept {
    if (head_ == nullptr)
        return;
    ledger::column& column = own();
    if (column.holder.load(std::memory_order_relaxed) == ::getpid()) {
        column.zero(head_->column_size);
        column.holder.store(0, std::memory_order_release);
    }
    head_ = nullptr;
}

const hash_key& ledger_member::key() const noexcept {
    return head_->key;
}

void ledger_member::add_active(std::uint32_t class_index, std::uint64_t client) noexcept {
    ledger::column& column = own();
    increase(column.all.active);
    increase(column.classes[class_index].active);
    for (const std::uint64_t hash : {client, within_class(client, class_index)})
        column.visit_cells(hash, head_->bits, [this](std::uint32_t, cell& one) noexcept {
            increase(one);
            saturated_ |= one.load(std::memory_order_relaxed) == cell_end;
        });
}

void ledger_member::remove_active(std::uint32_t class_index, std::uint64_t client) noexcept {
    ledger::column& column = own();
    for (const std::uint64_t hash : {client, within_class(client, class_index)})
        column.visit_cells(hash, head_->bits, [](std::uint32_t, cell& one) noexcept { decrease(one); });
    decrease(column.classes[class_index].active);
    decrease(column.all.active);
    if (saturated_ && column.all.active.load(std::memory_order_relaxed) == 0) {
        for (std::size_t i = 0; i < std::size_t{ledger::rows} << head_->bits; ++i)
            column.sketch()[i].store(0, std::memory_order_release);
        saturated_ = false;
    }
}

void ledger_member::set_demand(std::uint32_t count) noexcept {
    own().all.demand.store(count, std::memory_order_relaxed);
}

void ledger_member::set_demand(std::uint32_t class_index, std::uint32_t count) noexcept {
    own().classes[class_index].demand.store(count, std::memory_order_relaxed);
}

void ledger_member::add_waiting(std::uint32_t class_index) noexcept {
    increase(own().all.waiting);
    increase(own().classes[class_index].waiting);
}

void ledger_member::remove_waiting(std::uint32_t class_index) noexcept {
    decrease(own().classes[class_index].waiting);
    decrease(own().all.waiting);
}

template <class Visit>
void ledger_member::visit_others(Visit visit) const noexcept {
    const std::uint32_t used = head_->used.load();
    for (std::uint32_t index = 0; index < used; ++index)
        if (index != index_)
            visit(head_->at(index));
}

ledger_member::use ledger_member::others() const noexcept {
    use sum;
    visit_others([&sum](ledger::column& column) noexcept {
        sum.active += column.all.active.load();
        sum.waiting += column.all.waiting.load();
        sum.demand += column.all.demand.load();
    });
    return sum;
}

ledger_member::use ledger_member::others(std::uint32_t class_index) const noexcept {
    use sum;
    visit_others([&](ledger::column& column) noexcept {
        const counters& one = column.classes[class_index];
        sum.active += one.active.load();
        sum.waiting += one.waiting.load();
        sum.demand += one.demand.load();
    });
    return sum;
}

std::uint64_t ledger_member::estimate(std::uint64_t hash) const noexcept {
    std::array<std::uint64_t, ledger::rows> sums{};
    visit_others([&](ledger::column& column) noexcept {
        // Most columns of a prefork httpd hold nothing: their cells aren't worth a cache miss.
        if (column.all.active.load() == 0)
            return;
        column.visit_cells(hash, head_->bits, [&](std::uint32_t row, cell& one) noexcept {
            const std::uint16_t count = one.load();
            // A full cell stands for that many, or more than anybody knows.
            sums[row] += count == cell_end ? std::uint64_t{1} << 40 : std::uint64_t{count};
        });
    });
    return *std::min_element(sums.begin(), sums.end());
}

std::uint64_t ledger_member::others_active(std::uint64_t client) const noexcept {
    return estimate(client);
}

std::uint64_t ledger_member::others_active(std::uint32_t class_index, std::uint64_t client) const noexcept {
    return estimate(within_class(client, class_index));
}

void ledger_member::set_front(std::uint64_t front) noexcept {
    if (own().front.load(std::memory_order_relaxed) != front)
        own().front.store(front, std::memory_order_release);
}

ledger_member::better_fronts ledger_member::others_better(std::uint64_t front,
                                                          std::uint64_t ignored) const noexcept {
    better_fronts better;
    visit_others([&](ledger::column& column) noexcept {
        const std::uint64_t other = column.front.load(std::memory_order_relaxed);
        if (other > front && other != ignored) {
            ++better.count;
            better.best = std::max(better.best, other);
        }
    });
    return better;
}

std::uint64_t front_of(std::int32_t priority, std::int64_t since_nanoseconds) noexcept {
    constexpr std::int32_t bound = std::numeric_limits<std::int16_t>::max();
    constexpr std::uint64_t time_mask = (std::uint64_t{1} << 48) - 1;
    const auto rank =
        static_cast<std::uint64_t>(std::clamp(priority, -bound, bound) + bound + 1); // 1 to 65,535
    const auto microseconds = static_cast<std::uint64_t>(since_nanoseconds / 1000);
    return rank << 48 | (~microseconds & time_mask);
}

} // namespace dlhandoff::engine
