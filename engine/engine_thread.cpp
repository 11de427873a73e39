#include "engine/engine_thread.hpp"

#include "engine/offer_check.hpp"
#include "engine/signal_mask.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

namespace dlhandoff::engine {
namespace {

/// Whether an offer can be one too many.
bool has_bounds(const limit_table& table) noexcept {
    const auto bounded = [](const limits& one) { return one.transfers != 0 || one.per_client != 0; };
    return bounded(table.all) ||
           std::ranges::any_of(table.classes, [&](const class_limits& one) { return bounded(one.own); });
}

} // namespace

struct engine_thread::state {
    static constexpr std::size_t closed_at_once = 16;
    /// What the thread says to a caller that waits for it.
    struct verdict {
        bool given = false;
        std::optional<refusal> refused;
    };
    struct taken {
        offer offered;
        std::vector<file_descriptor> descriptors;
        verdict* asked = nullptr; ///< guarded by mutex
    };

    state(engine_options options, transfer_log log)
        : may_refuse(has_bounds(options.limits)), engine(loop, std::move(options), std::move(log)),
          wake(
              loop, [](void* self) { static_cast<state*>(self)->look(); }, this) {}

    void run() {
        while (!ending.load(std::memory_order_acquire)) {
            loop.run_once(engine.next_deadline());
            engine.run_turns();
            publish_active();
        }
        look(); // what was taken last is ended, and logged, like all else
        engine.end_all(outcome::shutdown);
        publish_active();
    }

    /// Woken: begins what was taken, cuts if told to.
    void look() {
        {
            const std::lock_guard lock(mutex);
            inbox.swap(begun);
            active += begun.size();
        }
        for (taken& one : begun) {
            const auto refused = begin(one);
            if (one.asked == nullptr)
                continue;
            const std::lock_guard lock(mutex);
            *one.asked = {true, refused};
            answered.notify_all();
        }
        begun.clear();
        if (closing_idle.exchange(false, std::memory_order_acq_rel))
            engine.close_idle(closed_at_once);
        if (!stopped && draining.load(std::memory_order_acquire)) {
            stopped = true;
            engine.stop_accepting();
        }
        if (cutting.load(std::memory_order_acquire))
            engine.end_all(outcome::shutdown);
    }

    std::optional<refusal> begin(taken& one) noexcept try {
        engine::prepared ready;
        if (one.asked != nullptr) {
            auto checked = engine.prepare_checked(std::move(one.offered), std::move(one.descriptors));
            if (const auto* refused = std::get_if<refusal>(&checked))
                return *refused;
            ready = std::get<engine::prepared>(std::move(checked));
        } else {
            ready = engine.adopt(std::move(one.offered), std::move(one.descriptors));
        }
        if (ready)
            engine.begin(std::move(ready));
        return std::nullopt;
    } catch (const std::bad_alloc&) { // nothing was begun: costs a client its response, if nobody waits to
                                      // hear it
        return refusal::full;
    } catch (const std::exception&) { // likewise: libcrypto's failure
        return refusal::tls;
    }

    /// Rounds in which no transfer came or went, nearly all of them, take no lock.
    void publish_active() {
        // A drain also waits for the idle connections.
        const std::size_t now = engine.active() + (stopped ? engine.idle() : 0);
        if (active == now && drains == stopped)
            return;
        const std::lock_guard lock(mutex);
        active = now;
        drains = stopped;
        if (active == 0 && inbox.empty())
            idle.notify_all();
    }

    const bool may_refuse; ///< so that take() waits for the thread
    event_loop loop;
    dlhandoff::engine::engine engine;
    wake_up wake;
    std::vector<taken> begun; ///< the thread's own
    bool stopped = false;     ///< the thread's own: `draining`, heard
    std::atomic<bool> closing_idle{false};
    std::atomic<bool> draining{false};
    std::atomic<bool> cutting{false};
    std::atomic<bool> ending{false};
    std::mutex mutex;
    std::condition_variable idle;
    std::condition_variable answered;
    std::vector<taken> inbox; ///< guarded by mutex, and so are the next three
    std::size_t active = 0;   ///< written by the thread only, which may therefore read it without the lock
    bool drains = false;      ///< likewise: `active` counts idle connections, too
    bool accepting = true;
    std::thread thread;
};

engine_thread::engine_thread(engine_options options, transfer_log log)
    : state_(std::make_unique<state>(std::move(options), std::move(log))) {
    const blocked_signals blocked;
    state_->thread = std::thread([shared = state_.get()] { shared->run(); });
}

engine_thread::~engine_thread() {
    state_->ending.store(true, std::memory_order_release);
    state_->wake.notify();
    state_->thread.join();
}

std::optional<refusal> engine_thread::take(offer offered, std::vector<file_descriptor> descriptors) {
    if (const auto wrong = check_offer(offered, descriptors))
        return wrong;
    state::verdict said;
    {
        const std::lock_guard lock(state_->mutex);
        if (!state_->accepting || state_->cutting.load(std::memory_order_acquire))
            return refusal::stopping;
        state_->inbox.push_back(
            {std::move(offered), std::move(descriptors), state_->may_refuse ? &said : nullptr});
    }
    state_->wake.notify();
    if (!state_->may_refuse)
        return std::nullopt;
    std::unique_lock lock(state_->mutex);
    state_->answered.wait(lock, [&said] { return said.given; });
    return said.refused;
}

void engine_thread::drain() {
    std::unique_lock lock(state_->mutex);
    state_->accepting = false;
    state_->draining.store(true, std::memory_order_release);
    state_->wake.notify();
    state_->idle.wait(lock,
                      [this] { return state_->drains && state_->active == 0 && state_->inbox.empty(); });
}

void engine_thread::close_idle() noexcept {
    state_->closing_idle.store(true, std::memory_order_release);
    state_->wake.notify();
}

void engine_thread::cut() noexcept {
    state_->cutting.store(true, std::memory_order_release);
    state_->wake.notify();
}

std::size_t engine_thread::active() const noexcept {
    const std::lock_guard lock(state_->mutex);
    return state_->active + state_->inbox.size();
}

} // namespace dlhandoff::engine
