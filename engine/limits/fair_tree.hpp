#pragma once

#include "engine/clock.hpp"
#include "engine/limits/token_bucket.hpp"

#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

namespace dlhandoff::engine {

struct fair_node;

/// What waits for bytes in a fair_tree: a leaf, or an inner node (fair_node). It must not move while it
/// waits, nor be destroyed.
struct fair_item {
    using hook = boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>>;

    token_bucket bucket;
    double tag =
        0; ///< what it was given, divided by weight, in its parent's virtual time: the least goes first
    fair_node* parent = nullptr;
    hook queued; ///< among its parent's children
    hook held;   ///< among those that wait for a time
    clock::time_point held_until{};
    std::uint32_t weight = 1; ///< at least 1
    bool is_leaf = true;

    [[nodiscard]] bool is_queued() const noexcept { return queued.is_linked(); }
    [[nodiscard]] bool is_held() const noexcept { return held.is_linked(); }
    [[nodiscard]] bool waits() const noexcept { return is_queued() || is_held(); }

    struct by_tag {
        bool operator()(const fair_item& left, const fair_item& right) const noexcept {
            return left.tag < right.tag;
        }
    };
    struct by_time {
        bool operator()(const fair_item& left, const fair_item& right) const noexcept {
            return left.held_until < right.held_until;
        }
    };
};

/// Divides what it gets among its children that can take it, by their weights.
struct fair_node : fair_item {
    fair_node() { is_leaf = false; }
    using queue = boost::intrusive::multiset<
        fair_item, boost::intrusive::member_hook<fair_item, fair_item::hook, &fair_item::queued>,
        boost::intrusive::compare<fair_item::by_tag>, boost::intrusive::constant_time_size<false>>;
    queue children;          ///< those that could be given bytes, as far as is known
    double virtual_time = 0; ///< the tag of the child that was served last
};

/// Hierarchical start-time fair queueing (Goyal, Vin and Cheng, 1996): at each level, the item that has been
/// given least by weight goes first. An item that was away comes back level with the others: it is owed
/// nothing. A node is in its parent's queue only while a leaf under it could be served. A node that waits for
/// tokens is held until they come, and holds up only what is under it.
///
/// It does not know what is given. O(log n) for each level; allocates nothing. One thread.
class fair_tree {
  public:
    fair_node root;

    /// The item has something to be served: puts it into its parent's queue, and the parents into theirs.
    void enqueue(fair_item& item) noexcept;
    /// The item no longer has anything to be served, or is about to be destroyed.
    void dequeue(fair_item& item) noexcept;
    /// The item can't be served before `until`: takes it out of its parent's queue.
    void hold(fair_item& item, clock::time_point until) noexcept;
    /// Its tokens may be there earlier than expected: a held item is now held until `now` only.
    void hurry(fair_item& item, clock::time_point now) noexcept;

    /// Releases and returns the first of the held items, if its time has come; null if not. The item is then
    /// in no queue either.
    [[nodiscard]] fair_item* release(clock::time_point now) noexcept;
    /// When the first of the held items is due; clock::time_point::max() if there is none.
    [[nodiscard]] clock::time_point next_release() const noexcept;
    /// Puts a node that was released, or is new in its place, into its parent's queue, if a leaf under it can
    /// be served.
    void resume(fair_node& node) noexcept;

    /// Whether a leaf can be served, as far as is known.
    [[nodiscard]] bool can_serve() const noexcept { return !root.is_held() && !root.children.empty(); }
    /// The leaf whose turn it is; can_serve() must be true.
    [[nodiscard]] fair_item& first() noexcept;

    /// charge(): the item was given so many bytes, so others go first now. refund(): the reverse, for bytes
    /// that it has not used.
    void charge(fair_item& item, double bytes) noexcept;
    void refund(fair_item& item, double bytes) noexcept;

  private:
    void retag(fair_item& item, double tag) noexcept;

    boost::intrusive::multiset<
        fair_item, boost::intrusive::member_hook<fair_item, fair_item::hook, &fair_item::held>,
        boost::intrusive::compare<fair_item::by_time>, boost::intrusive::constant_time_size<false>>
        held_;
};

} // namespace dlhandoff::engine
