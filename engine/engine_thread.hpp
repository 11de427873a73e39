#pragma once

#include "engine/engine.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace dlhandoff::engine {

/// An engine on a thread of its own, for a process that has other things to do: a child of httpd, in embedded
/// mode.
///
/// All signals are blocked on the thread. Every function may be called from any thread unless it says
/// otherwise.
class engine_thread {
  public:
    /// Starts the thread. Throws std::system_error.
    engine_thread(engine_options options, transfer_log log);
    /// Ends all transfers (outcome shutdown) and joins the thread.
    ~engine_thread();
    engine_thread(const engine_thread&) = delete;
    engine_thread& operator=(const engine_thread&) = delete;

    /// Offers, claims and begins in one step. Waits for the thread's answer only if limits are set by which
    /// it may refuse. nullopt: the engine now owns the response and its descriptors (the client's socket
    /// first, then the files: pass duplicates). A refusal: nothing has been sent, and nothing will be.
    [[nodiscard]] std::optional<refusal> take(offer offered, std::vector<file_descriptor> descriptors);

    /// Closes some of the connections that wait for their clients' next requests; for when this process runs
    /// out of descriptors.
    void close_idle() noexcept;

    /// Takes no new transfers. Returns when all transfers have ended and every connection has returned to
    /// httpd or its time was up, or when cut() was called.
    void drain();

    /// Ends every transfer at once and makes drain() return. Async-signal-safe.
    void cut() noexcept;

    /// Transfers under way, including those that have been taken but not begun.
    [[nodiscard]] std::size_t active() const noexcept;

  private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace dlhandoff::engine
