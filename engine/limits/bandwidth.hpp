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
/// A scarce rate is divided among the classes by weight, within a class equally among clients, and within a
/// client equally among its downloads. What one can't use, because it doesn't ask or has reached another
/// limit, goes to the others (hierarchical max-min fairness, by fair_tree). Over any stretch of time, no rate
/// lets more be spent than token_bucket::depth plus what has come in meanwhile. While nobody else waits for a
/// rate and its bucket has enough, an answer is immediate.
///
/// A grant is what is expected to come in for the download in 50 ms. Where many share a rate, it is at least
/// what comes in for all of them in 1 ms, so no rate wakes more than some 1,000 downloads a second.
///
/// One thread. Allocates in enter(), set_limits() and leave() only. It knows no sockets and has no clock:
/// callers pass the time, which must not run backwards.
class bandwidth {
  public:
    /// The most bytes that ask() answers; a larger grant is asked for in pieces.
    static constexpr std::uint64_t largest_answer = 512 * 1024;
    /// The shortest time between two wake-ups.
    static constexpr std::chrono::milliseconds tick{5};
    /// How long after its last request a download is busy: it counts among those that share.
    static constexpr std::chrono::milliseconds busy_time{500};
    /// A grant that is not spent within this time goes back.
    static constexpr std::chrono::milliseconds grant_time{250};

    /// Which fraction of a client's rate this engine's downloads may use, over all classes (no index) or in
    /// one. Called for clients whose downloads ask, at most every 100 ms. Must not throw, nor call back.
    using client_fraction =
        std::function<double(std::string_view client_key, std::optional<std::size_t> class_index)>;

    /// A download; its base class. It must leave() before it is destroyed.
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
        std::uint64_t wanted_ = 0;      ///< when it last asked
        std::uint64_t granted_ = 0;     ///< and not spent or given back
        std::uint64_t answered_ = 0;    ///< of these, those that it was told of
        clock::time_point active_at_{}; ///< when it last asked or was granted
        std::uint32_t lowering_ = 0;    ///< lowerings_ at the time of the grant
        bool limited_ = false;          ///< a rate is in force
    };

    /// Until set_limits(), no rate is in force. Throws std::system_error, as random_hash_key() does.
    explicit bandwidth(client_fraction fraction = nullptr);
    bandwidth(const bandwidth&) = delete;
    bandwidth& operator=(const bandwidth&) = delete;

    /// Applies at once to downloads under way. They keep their classes by name, and move to the first class
    /// if theirs is gone. If it throws std::bad_alloc, the downloads that were not reached are bounded by
    /// their own rates only.
    void set_limits(const limit_table& limits, clock::time_point now);
    /// Which fraction, in (0, 1], of the rate of all together, or of a class, this engine may use, because
    /// other engines share it. Applies at once.
    void set_fraction(double fraction, clock::time_point now) noexcept;
    void set_class_fraction(std::size_t class_index, double fraction, clock::time_point now) noexcept;

    /// Whether a rate of this class, of a client, or of all together is in force. A download that doesn't
    /// enter() is bound by none of them.
    [[nodiscard]] bool has_rates(std::size_t class_index) const noexcept {
        return needs_share(*classes_[known(class_index)]);
    }

    /// `client_key` is borrowed until leave(). An unknown index counts as the first class. `own_rate`: bytes
    /// a second of this download alone, 0 for none. Throws std::bad_alloc, with no effect.
    void enter(entry& one, std::size_t class_index, std::string_view client_key, std::uint64_t own_rate,
               clock::time_point now);
    /// May be called in any state; does nothing if it hasn't entered. What it was granted and has not spent
    /// goes back.
    void leave(entry& one) noexcept;
    void set_own_rate(entry& one, std::uint64_t own_rate, clock::time_point now) noexcept;

    /// Bytes that the download may give to the kernel now. Report what it gave by spent(), before any other
    /// call for this download. `wanted`: what is left of the download (not of a turn: small requests lead to
    /// small grants). 0: not now; run_due() wakes it when it may go on.
    [[nodiscard]] std::uint64_t ask(entry& one, std::uint64_t wanted, clock::time_point now) noexcept {
        return one.limited_ && wanted > 0 ? ask_limited(one, wanted, now) : wanted;
    }
    /// Reports the bytes of the response that the kernel took, not counting what TLS adds. If they are fewer
    /// than ask() answered, because the socket is full, say, the rest of the grant goes to the others. If
    /// they are more, the rates are in debt. A download that was woken and has nothing to send just then
    /// reports 0.
    void spent(entry& one, std::uint64_t bytes) noexcept {
        if (one.limited_)
            spend(one, bytes);
    }

    /// Grants what has come in to those that wait, and calls wake(entry&) for each that should ask now. Call
    /// it in each round of the loop; it costs next to nothing before next_deadline(). wake() may call
    /// anything here except run_due().
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
    /// When run_due() must be called next; clock::time_point::max() while nobody waits.
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    /// How many are busy, so that engines that share a rate can work out fractions: clients under the rate of
    /// all together or of a class, downloads under a client's rate. Meaningful only while that rate is in
    /// force.
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
    /// Returns whether it was waiting.
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
    /// The first item on the way to the root that has less than `bytes`, or null; `until`: when it may have
    /// them.
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
    bool pending_ = false; ///< since the last run, an entry was queued that may be served
};

} // namespace dlhandoff::engine
