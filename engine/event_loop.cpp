#include "engine/event_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <sys/eventfd.h>
#include <unistd.h>

namespace dlhandoff::engine {

event_loop::event_loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), now_(clock::now()) {
    if (!epoll_)
        throw_errno("epoll_create1");
}

bool event_loop::add(int number, std::uint32_t events, event_handler& handler) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &event) == 0;
}

void event_loop::remove(int number, event_handler& handler) noexcept {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, number, nullptr);
    drop_fetched(handler);
}

bool event_loop::pass_on(int number, std::uint32_t events, event_handler& from, event_handler& to) noexcept {
    drop_fetched(from);
    epoll_event event{};
    event.events = events;
    event.data.ptr = &to;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, number, &event) == 0;
}

void event_loop::drop_fetched(const event_handler& handler) noexcept {
    for (int i = next_; i < fetched_count_; ++i)
        if (auto& event = fetched_[static_cast<std::size_t>(i)]; event.data.ptr == &handler)
            event.data.ptr = nullptr;
}

void event_loop::run_once(clock::time_point deadline) {
    const auto wait = deadline - now_;
    // Rounded up: a wait that ends a fraction of a millisecond early would only be repeated.
    const auto milliseconds =
        std::chrono::ceil<std::chrono::milliseconds>(std::max(wait, clock::duration::zero()));
    fetched_count_ = ::epoll_wait(
        epoll_.get(), fetched_.data(), static_cast<int>(fetched_.size()),
        static_cast<int>(std::min<std::chrono::milliseconds::rep>(milliseconds.count(), 60'000)));
    now_ = clock::now();
    for (next_ = 0; next_ < fetched_count_;) {
        const epoll_event event = fetched_[static_cast<std::size_t>(next_++)];
        if (event.data.ptr != nullptr)
            static_cast<event_handler*>(event.data.ptr)->on_events(event.events);
    }
    fetched_count_ = next_ = 0;
}

wake_up::wake_up(event_loop& loop, void (*call)(void*), void* argument)
    : loop_(loop), counter_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), call_(call), argument_(argument) {
    if (!counter_)
        throw_errno("eventfd");
    if (!loop.add(counter_.get(), EPOLLIN, *this))
        throw_errno("epoll_ctl(eventfd)");
}

wake_up::~wake_up() {
    loop_.remove(counter_.get(), *this);
}

void wake_up::notify() const noexcept {
    const int saved = errno; // a signal handler must leave it as it was
    const std::uint64_t one = 1;
    // EAGAIN means that the counter is full: the loop is going to wake up anyway.
    [[maybe_unused]] const ssize_t written = ::write(counter_.get(), &one, sizeof one);
    errno = saved;
}

void wake_up::on_events(std::uint32_t) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(counter_.get(), &count, sizeof count);
    call_(argument_);
}

} // namespace dlhandoff::engine
