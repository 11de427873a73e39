#pragma once

#include "engine/engine_thread.hpp"
#include "mod_dlhandoff/handoff_result.hpp"
#include "shared/offer.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <span>

namespace dlhandoff::httpd {

/// The manager inside an httpd child: an engine on a thread of its own, which is started when the first
/// download is handed off, so that a child that never has one pays nothing.
///
/// Any thread may call any function; belongs to one process, made after fork().
class embedded_manager {
  public:
    using on_return_failure = void (*)(const engine::return_failure&);
    using on_log_loss = void (*)(const engine::transfer_log_loss&);
    using on_file_failure = void (*)(const engine::file_failure&);

    /// `transfer_log` is the parent's descriptor, borrowed, or -1. `limit_ledger`: what all children use of
    /// the limits, made before fork(); null: each keeps them alone. Failures are told on the engine's
    /// thread.
    embedded_manager(int transfer_log, const engine::limits& limits, const engine::ledger* limit_ledger,
                     on_return_failure on_failure, on_log_loss on_loss, on_file_failure file_failed) noexcept
        : transfer_log_(transfer_log), limits_(limits), ledger_(limit_ledger), on_failure_(on_failure),
          on_loss_(on_loss), on_file_failure_(file_failed) {}

    /// Offers a response. `descriptors` (client, then files) stay the caller's. Throws std::bad_alloc, and
    /// then owns nothing.
    [[nodiscard]] handoff_result hand_off(offer offered, std::span<const int> descriptors);

    [[nodiscard]] bool started() const noexcept {
        return running_.load(std::memory_order_acquire) != nullptr;
    }

    /// Ends all downloads at once. Async-signal-safe, but not beside end().
    void cut() noexcept;

    /// Takes no more downloads and waits until those under way have ended, or until cut().
    void drain() noexcept;

    /// Ends the engine's thread, and what downloads it still has. Nothing can be handed off any more.
    void end() noexcept;

  private:
    [[nodiscard]] std::shared_ptr<engine::engine_thread> engine();

    const int transfer_log_;
    const engine::limits limits_;
    const engine::ledger* const ledger_;
    const on_return_failure on_failure_;
    const on_log_loss on_loss_;
    const on_file_failure on_file_failure_;
    std::mutex mutex_;
    std::shared_ptr<engine::engine_thread> engine_; ///< guarded by mutex_
    bool ended_ = false;                            ///< guarded by mutex_
    std::atomic<engine::engine_thread*> running_{nullptr};
};

} // namespace dlhandoff::httpd
