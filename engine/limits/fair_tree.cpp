#include "engine/limits/fair_tree.hpp"

#include <algorithm>

namespace dlhandoff::engine {

void fair_tree::enqueue(fair_item& item) noexcept {
    for (fair_item* at = &item; at->parent != nullptr && !at->waits(); at = at->parent)
        at->parent->children.insert(*at);
}

void fair_tree::dequeue(fair_item& item) noexcept {
    if (item.is_held())
        held_.erase(held_.iterator_to(item));
    for (fair_item* at = &item; at->is_queued(); at = at->parent) {
        at->parent->children.erase(at->parent->children.iterator_to(*at));
        if (!at->parent->children.empty())
            break;
        // A node that has nobody to serve waits for no time either.
        if (at->parent->is_held())
            held_.erase(held_.iterator_to(*at->parent));
    }
}

void fair_tree::hold(fair_item& item, clock::time_point until) noexcept {
    dequeue(item);
    item.held_until = until;
    held_.insert(item);
}

void fair_tree::hurry(fair_item& item, clock::time_point now) noexcept {
    if (item.is_held() && item.held_until > now) {
        held_.erase(held_.iterator_to(item));
        item.held_until = now;
        held_.insert(item);
    }
}

fair_item* fair_tree::release(clock::time_point now) noexcept {
    if (held_.empty() || held_.begin()->held_until > now)
        return nullptr;
    fair_item& first = *held_.begin();
    held_.erase(held_.begin());
    return &first;
}

clock::time_point fair_tree::next_release() const noexcept {
    return held_.empty() ? clock::time_point::max() : held_.begin()->held_until;
}

void fair_tree::resume(fair_node& node) noexcept {
    if (!node.children.empty())
        enqueue(node);
}

fair_item& fair_tree::first() noexcept {
    fair_item* at = &root;
    while (!at->is_leaf)
        at = &*static_cast<fair_node*>(at)->children.begin();
    return *at;
}

void fair_tree::charge(fair_item& item, double bytes) noexcept {
    double& now = item.parent->virtual_time; // not behind it, however long it was away
    now = std::max(now, item.tag);
    retag(item, now + bytes / item.weight);
}

void fair_tree::refund(fair_item& item, double bytes) noexcept {
    retag(item, std::max(item.tag - bytes / item.weight, std::min(item.tag, item.parent->virtual_time)));
}

void fair_tree::retag(fair_item& item, double tag) noexcept {
    if (!item.is_queued()) {
        item.tag = tag;
        return;
    }
    auto& queue = item.parent->children;
    queue.erase(queue.iterator_to(item));
    item.tag = tag;
    queue.insert(item);
}

} // namespace dlhandoff::engine
