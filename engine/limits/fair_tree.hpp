#pragma once

#include "engine/clock.hpp"
#include "engine/limits/token_bucket.hpp"

#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

namespace dlhandoff::engine {

struct fair_node;

/// Who waits for bytes in a fair_tree: a leaf, or the inside of one (fair_node). Not movable once it waits;
/// must not wait any more when it goes.
struct fair_item {
    using hook = boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>>;

    token_bucket bucket;
    double tag = 0; ///< what it was given, by weight, in its parent's virtual time: the least goes first
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
    queue children;          ///< those that could be given bytes, as far as they know
    double virtual_time = 0; ///< the tag of the child that was served last
};

/// Hierarchical start-time fair queueing (Goyal, Vin and Cheng, 1996): at each level, whoever has been given
/// least by weight goes first. Who was away comes back level with the others: it is owed nothing. Nodes are
/// in their parents' queues only while a leaf under them could be served; those that wait for tokens are
/// held until then, and hold up nobody but what is under them.
///
/// Knows nothing of what is given. O(log n) for each level; allocates nothing. One thread.
class fair_tree {
  public:
    fair_node root;

    /// The item has something to be served: puts it into its parent's queue, and the parents into theirs.
    void enqueue(fair_item& item) noexcept;
    /// It has not any more, or goes.
    void dequeue(fair_item& item) noexcept;
    /// It can't be served before `until`: out of its parent's queue.
    void hold(fair_item& item, clock::time_point until) noexcept;
    /// Its tokens may have come together sooner: it is held until `now` only.
    void hurry(fair_item& item, clock::time_point now) noexcept;

    /// The first of those that are held, if its time has come: it is held no longer, and in no queue either.
    [[nodiscard]] fair_item* release(clock::time_point now) noexcept;
    /// When the first of those that are held is due; clock::time_point::max() if there is none.
    [[nodiscard]] clock::time_point next_release() const noexcept;
    /// Puts a node that was released, or is new in its place, into its parent's queue if it has somebody to
    /// be served.
    void resume(fair_node& node) noexcept;

    /// Whether somebody can be served, as far as is known.
    [[nodiscard]] bool can_serve() const noexcept { return !root.is_held() && !root.children.empty(); }
    /// The leaf whose turn it is; can_serve() must be true.
    [[nodiscard]] fair_item& first() noexcept;

    /// The item was given so many bytes: others go first now. And the reverse, if it has not used them.
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
