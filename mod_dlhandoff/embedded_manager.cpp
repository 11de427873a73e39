#include "mod_dlhandoff/embedded_manager.hpp"

#include "engine/signal_mask.hpp"

#include <cerrno>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace dlhandoff::httpd {
namespace {

/// httpd itself needs descriptors for its connections and files.
std::size_t most_idle() noexcept {
    rlimit limit{};
    constexpr rlim_t share = 4;
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur / share
                                                                                      : 0;
}

} // namespace

/// The engine, started if it has to be; nothing once the child is ending.
std::shared_ptr<engine::engine_thread> embedded_manager::engine() {
    const std::lock_guard lock(mutex_);
    if (!engine_ && !ended_) {
        engine::transfer_log log;
        if (transfer_log_ >= 0) {
            auto file = file_descriptor::duplicate_of(transfer_log_);
            if (!file)
                throw_errno("fcntl(DLHandoffTransferLog, F_DUPFD)");
            log = engine::transfer_log(std::move(file));
        }
        engine::engine_options options;
        options.manager = "httpd-" + std::to_string(::getpid());
        options.returns.on_failure = on_failure_;
        options.on_log_loss = on_loss_;
        options.on_file_failure = on_file_failure_;
        options.max_idle = most_idle();
        options.limits.all = options.limits.classes.front().own = limits_;
        if (ledger_ != nullptr) {
            if (auto member = ledger_->join())
                options.member = std::make_shared<engine::ledger_member>(std::move(*member));
            options.ledger = ledger_;
        }
        engine_ = std::make_shared<engine::engine_thread>(std::move(options), std::move(log));
        running_.store(engine_.get(), std::memory_order_release);
    }
    return engine_;
}

handoff_result embedded_manager::hand_off(offer offered, std::span<const int> descriptors) try {
    // A prefork child is ended from within its signal handler, which waits for the engine: not while this
    // thread holds what the engine needs. Threads that the engine starts inherit the mask.
    const engine::blocked_signals blocked;
    const auto thread = engine();
    if (!thread)
        return {refusal::stopping};
    std::vector<file_descriptor> copies;
    copies.reserve(descriptors.size());
    for (const int descriptor : descriptors) {
        copies.push_back(file_descriptor::duplicate_of(descriptor));
        if (!copies.back()) {
            const int error = errno;
            thread->close_idle();
            return {decline_reason::descriptors, error};
        }
    }
    if (const auto refused = thread->take(std::move(offered), std::move(copies)))
        return {*refused};
    return {};
} catch (const std::system_error& failure) {
    const int error = failure.code().value();
    const bool descriptors_gone = error == EMFILE || error == ENFILE;
    return {descriptors_gone ? decline_reason::descriptors : decline_reason::manager_down, error};
}

void embedded_manager::cut() noexcept {
    if (engine::engine_thread* const thread = running_.load(std::memory_order_acquire))
        thread->cut();
}

void embedded_manager::drain() noexcept {
    if (engine::engine_thread* const thread = running_.load(std::memory_order_acquire))
        thread->drain();
}

void embedded_manager::end() noexcept {
    std::shared_ptr<engine::engine_thread> last;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    running_.store(nullptr, std::memory_order_release);
    last.swap(engine_);
}

} // namespace dlhandoff::httpd
