#include "mod_dlhandoff/child_end.hpp"

#include "mod_dlhandoff/mpm.hpp"

#include <ap_listen.h>
#include <apr_pools.h>
#include <apr_thread_proc.h>
#include <array>
#include <csignal>
#include <scoreboard.h>
#include <unistd.h>

namespace dlhandoff::httpd {
namespace {

/// The process's one embedded manager: signal handlers have no other way to find it.
embedded_manager* the_manager = nullptr;
volatile std::sig_atomic_t told_to_end_at_once = 0;

/// The signals that mean "at once". SIGINT ends an httpd that was started with -X; other children ignore it.
constexpr std::array ending_signals{SIGTERM, SIGHUP, SIGINT};
std::array<struct sigaction, ending_signals.size()> chained{};

extern "C" void note_and_chain(int signal, siginfo_t* info, void* context) {
    told_to_end_at_once = 1;
    for (std::size_t i = 0; i < ending_signals.size(); ++i) {
        if (ending_signals[i] != signal)
            continue;
        // prefork's own handler ends the process from here: it runs the pool's cleanups and does not return.
        if ((chained[i].sa_flags & SA_SIGINFO) != 0)
            chained[i].sa_sigaction(signal, info, context);
        else
            chained[i].sa_handler(signal);
    }
}

extern "C" void cut_downloads(int) {
    the_manager->cut();
}

void chain_ending_signals() noexcept {
    for (std::size_t i = 0; i < ending_signals.size(); ++i) {
        if (::sigaction(ending_signals[i], nullptr, &chained[i]) < 0)
            continue;
        const bool handled = (chained[i].sa_flags & SA_SIGINFO) != 0 ||
                             (chained[i].sa_handler != SIG_DFL && chained[i].sa_handler != SIG_IGN);
        if (!handled)
            continue;
        struct sigaction ours = chained[i];
        ours.sa_flags |= SA_SIGINFO;
        ours.sa_sigaction = note_and_chain;
        (void)::sigaction(ending_signals[i], &ours, nullptr);
    }
}

/// From now on the ending signals cut the downloads, for which this thread waits.
void let_signals_cut() noexcept {
    struct sigaction cutting {};
    cutting.sa_handler = cut_downloads;
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : ending_signals) {
        sigaddset(&signals, signal);
        (void)::sigaction(signal, &cutting, nullptr);
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void ignore_signals() noexcept {
    for (const int signal : ending_signals)
        (void)std::signal(signal, SIG_IGN);
}

apr_status_t end_downloads(void*) noexcept {
    if (!the_manager->started()) {
        the_manager->end();
        return APR_SUCCESS;
    }
    if (told_to_end_at_once != 0) {
        the_manager->cut();
    } else if (is_prefork()) {
        // An idle child that was told to go still listens, and the parent would count it among the idle ones.
        ap_close_listeners();
        apr_proc_t self{};
        self.pid = ::getpid();
        if (const int slot = ap_find_child_by_pid(&self); slot >= 0)
            (void)ap_update_child_status_from_indexes(slot, 0, SERVER_GRACEFUL, nullptr);
    }
    let_signals_cut();
    the_manager->drain();
    ignore_signals();
    the_manager->end();
    return APR_SUCCESS;
}

} // namespace

void end_with_child(apr_pool_t* pchild, embedded_manager& manager) noexcept {
    the_manager = &manager;
    if (is_prefork())
        chain_ending_signals();
    // Before the pool's own memory and its subpools go.
    apr_pool_pre_cleanup_register(pchild, nullptr, end_downloads);
}

void cut_unless_graceful(apr_pool_t*, int graceful) noexcept {
    if (graceful == 0 && the_manager != nullptr && !is_prefork()) {
        told_to_end_at_once = 1;
        the_manager->cut();
    }
}

} // namespace dlhandoff::httpd
