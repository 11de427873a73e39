#include "dlmanagerd/signal_source.hpp"

#include <csignal>
#include <cstdint>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::service {

signal_source::signal_source(engine::event_loop& loop, std::initializer_list<int> signals,
                             std::function<void(int)> call)
    : loop_(loop), call_(std::move(call)) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals)
        sigaddset(&set, signal);
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
        throw std::system_error(error, std::generic_category(), "pthread_sigmask");
    source_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!source_)
        throw_errno("signalfd");
    if (!loop_.add(source_.get(), EPOLLIN, *this))
        throw_errno("epoll_ctl(signalfd)");
}

signal_source::~signal_source() {
    loop_.remove(source_.get(), *this);
}

void signal_source::on_events(std::uint32_t) {
    signalfd_siginfo received{};
    while (::read(source_.get(), &received, sizeof received) == sizeof received)
        call_(static_cast<int>(received.ssi_signo));
}

} // namespace dlhandoff::service
