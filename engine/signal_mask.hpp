#pragma once

#include <csignal>

namespace dlhandoff::engine {

/// While it exists, blocks all signals for the calling thread. Threads started meanwhile inherit that, so the
/// process's signals still reach the threads that wait for them (pthread_sigmask(3)).
class blocked_signals {
  public:
    blocked_signals() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~blocked_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    blocked_signals(const blocked_signals&) = delete;
    blocked_signals& operator=(const blocked_signals&) = delete;

  private:
    sigset_t before_;
};

} // namespace dlhandoff::engine
