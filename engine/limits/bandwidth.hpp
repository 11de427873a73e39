#pragma once

#include "engine/limits/keyed_hash.hpp"
#include "engine/limits/limits.hpp"
#include "engine/limits/rate_accounts.hpp"

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dlhandoff::engine {

/// Shares rates among downloads: that of all together, of each class, of each client (over all classes, and
/// within a class), and of each download.
///
/// A rate that is short is divided among the classes by weight, within a class equally among clients, within
/// a client equally among its downloads; what one can't use, because it doesn't ask or has reached another
/// limit, goes to the others (hierarchical max-min fairness, by fair_tree). Under no rate are more than
/// token_bucket::depth and what has come in since spent at once, in whatever time. While nobody else waits
/// for a rate and its bucket has enough, an answer is immediate.
///
/// Grants are of what comes in for the download in 50 ms, as far as can be foreseen, and where many share a
/// rate, of at least what comes in for all in 1 ms: so no rate wakes more than some 1,000 downloads a second.
///
/// One thread. Allocates in enter(), set_limits() and leave() only. Knows no sockets, and no clock but what
/// it is told; times must not run backwards.
class bandwidth {
  public:
    /// What ask() answers at most, bytes; a grant may be larger, and is then asked for in pieces.
    static constexpr std::uint64_t largest_answer = 512 * 1024;
    /// Wake-ups are not closer together.
    static constexpr std::chrono::milliseconds tick{5};
    /// For so long after it has asked last, a download is busy: it counts among those that share.
    static constexpr std::chrono::milliseconds busy_time{500};
    /// A grant that is not spent in this time goes back.
    static constexpr std::chrono::milliseconds grant_time{250};

    /// What fraction of its rate this engine's downloads of a client may use, over all classes (no index) or
    /// in one. Asked for clients that ask, every 100 ms at most. Must not throw, nor call back.
    using client_fraction =
        std::function<double(std::string_view client_key, std::optional<std::size_t> class_index)>;

    /// A download; a base class of it. Must have left before it goes.
    class entry : private fair_item {
      public:
        /// Whether it waits for run_due() to wake it.
        [[nodiscard]] bool waits_for_rate() const noexcept { return waits() || woken_hook_.is_linked(); }

      private:
        friend class bandwidth;
        using list_hook = boost::intrusive::list_member_hook<>;
        list_hook all_hook_;
        list_hook busy_hook_;
        list_hook woken_hook_;
        std::string_view client_key_;
        std::size_t class_index_ = 0;
        std::uint64_t wanted_ = 0;      ///< when it asked last
        std::uint64_t granted_ = 0;     ///< and not spent or given back
        std::uint64_t answered_ = 0;    ///< of these, that it was told of
        clock::time_point active_at_{}; ///< when it asked, or was granted, last
        std::uint32_t lowering_ = 0;    ///< lowerings_ at the time of the grant
        bool limited_ = false;          ///< a rate is in force
    };

    /// Until set_limits(), no rate is in force. Throws std::system_error, as random_hash_key() does.
    explicit bandwidth(client_fraction fraction = nullptr);
    bandwidth(const bandwidth&) = delete;
    bandwidth& operator=(const bandwidth&) = delete;

    /// Applies to those that are under way at once; they keep their classes by name, and go to the first if
    /// theirs is gone. Throws std::bad_alloc: those that were not reached are then bounded by their own rates
    /// only.
    void set_limits(const limit_table& limits, clock::time_point now);
    /// What this engine may use of the rate of all together, or of a class: (0, 1], because others use the
    /// same. At once.
    void set_fraction(double fraction, clock::time_point now) noexcept;
    void set_class_fraction(std::size_t class_index, double fraction, clock::time_point now) noexcept;

    /// Whether a rate of this class, of a client's or of all together is in force: who doesn't enter() is
    /// bound by none of them.
    [[nodiscard]] bool has_rates(std::size_t class_index) const noexcept {
        return needs_share(*classes_[known(class_index)]);
    }

    /// `client_key` is borrowed until leave(). An unknown index is the first class. `own_rate`: bytes a
    /// second of this download alone, 0 for none. Throws std::bad_alloc, with no effect.
    void enter(entry& one, std::size_t class_index, std::string_view client_key, std::uint64_t own_rate,
               clock::time_point now);
    /// From any state; nothing happens if it hasn't entered. What it was granted and has not spent goes back.
    void leave(entry& one) noexcept;
    void set_own_rate(entry& one, std::uint64_t own_rate, clock::time_point now) noexcept;

    /// Bytes that the download may give to the kernel now; say what it did by spent(), before anything else
    /// of this download. `wanted`: what is left of it (not of a turn: small wishes make small grants). 0: not
    /// now; run_due() wakes it when it may.
    [[nodiscard]] std::uint64_t ask(entry& one, std::uint64_t wanted, clock::time_point now) noexcept {
        return one.limited_ && wanted > 0 ? ask_limited(one, wanted, now) : wanted;
    }
    /// Bytes of the response that the kernel took; what TLS adds does not count. Less than was answered: the
    /// socket is full, say, and what the download is still granted goes to the others. More: the rates are in
    /// debt. A download that was woken, and has nothing to send just then, says 0.
    void spent(entry& one, std::uint64_t bytes) noexcept {
        if (one.limited_)
            spend(one, bytes);
    }

    /// Grants what has come in to those that wait, and calls wake(entry&) for each that should ask now. Call
    /// it each round of the loop; it costs next to nothing before next_deadline(). wake() may call anything
    /// here but run_due().
    template <class Wake>
    void run_due(clock::time_point now, Wake wake) {
        if (now < next_deadline())
            return;
        grant_due(now);
        while (!woken_.empty()) {
            entry& one = woken_.front();
            woken_.pop_front();
            wake(one);
        }
    }
    /// When run_due() wants to be called next; clock::time_point::max() while nobody waits.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// How many are busy, so that engines that share a rate can work out fractions: clients under the rate of
    /// all together or of a class, downloads under a client's rate. Of use where that rate is in force.
    [[nodiscard]] std::size_t busy_clients(clock::time_point now) noexcept;
    [[nodiscard]] std::size_t busy_clients(std::size_t class_index, clock::time_point now) noexcept;
    [[nodiscard]] std::size_t busy_downloads(std::string_view client_key, clock::time_point now) noexcept;

  private:
    using list_option = boost::intrusive::constant_time_size<false>;
    template <entry::list_hook entry::*Hook>
    using list = boost::intrusive::list<entry, boost::intrusive::member_hook<entry, entry::list_hook, Hook>,
                                        list_option>;
    using classes = std::vector<std::unique_ptr<rate_class>>;

    [[nodiscard]] bool same_rates(const limit_table& limits) const noexcept;
    [[nodiscard]] classes make_classes(const limit_table& limits, clock::time_point now);
    [[nodiscard]] std::size_t known(std::size_t class_index) const noexcept {
        return class_index < classes_.size() ? class_index : 0;
    }
    [[nodiscard]] bool needs_share(const rate_class& its) const noexcept;
    void attach(entry& one, clock::time_point now);
    [[nodiscard]] rate_share& share_for(std::string_view client_key, rate_class& its, clock::time_point now);
    void detach(entry& one) noexcept;
    /// Whether it did.
    bool stop_waiting(entry& one) noexcept;
    void drop_share(rate_share& share) noexcept;
    [[nodiscard]] static rate_share* share_of(const entry& one) noexcept {
        return static_cast<rate_share*>(one.parent);
    }

    [[nodiscard]] std::uint64_t ask_limited(entry& one, std::uint64_t wanted, clock::time_point now) noexcept;
    [[nodiscard]] static std::uint64_t answer(entry& one, std::uint64_t wanted) noexcept;
    void spend(entry& one, std::uint64_t bytes) noexcept;
    void charge(entry& one, std::uint64_t bytes) noexcept;
    void give_back(entry& one) noexcept;
    void wait_again(entry& one, clock::time_point now) noexcept;
    template <class Do>
    void for_each_bucket(entry& one, Do what) noexcept;

    [[nodiscard]] std::uint64_t grant_size(const entry& one) const noexcept;
    void grant(entry& one, std::uint64_t bytes, clock::time_point now) noexcept;
    /// Who on the way to the root has less than `bytes`, or null; `until`: when it may have them.
    [[nodiscard]] fair_item* short_of(entry& one, std::uint64_t bytes, clock::time_point now,
                                      clock::time_point& until) noexcept;
    [[nodiscard]] static std::uint64_t reserved(const rate_share& share, std::uint64_t bytes) noexcept;
    [[nodiscard]] static bool others_wait(const entry& one) noexcept;
    void grant_due(clock::time_point now) noexcept;
    void release(fair_item& item, clock::time_point now) noexcept;
    void serve_first(clock::time_point now) noexcept;

    void set_rate(token_bucket& bucket, std::uint64_t rate, double fraction, clock::time_point now) noexcept;
    void refresh_fractions(rate_share& share, clock::time_point now) noexcept;
    void make_busy(entry& one) noexcept;
    void make_idle(entry& one) noexcept;
    void look_over(clock::time_point now) noexcept;

    client_fraction fraction_;
    fair_tree tree_;
    std::uint64_t all_rate_ = 0;        ///< as configured
    std::uint64_t all_client_rate_ = 0; ///< so
    double all_fraction_ = 1;
    classes classes_;
    std::unordered_map<std::string, rate_client, client_hash, std::equal_to<>> clients_;
    list<&entry::all_hook_> all_;
    list<&entry::busy_hook_> busy_;
    list<&entry::woken_hook_> woken_;
    std::size_t busy_clients_ = 0;
    double busy_weight_ = 0; ///< of classes with busy clients
    std::uint32_t lowerings_ = 0;
    clock::time_point last_run_{};
    clock::time_point looked_over_{};
    bool pending_ = false; ///< somebody was queued since the last run who may be served
};

} // namespace dlhandoff::engine
