#include "dlmanagerd/supervisor/readiness.hpp"

#include <string>

#ifdef DLHANDOFF_HAVE_LIBSYSTEMD
#include <ctime>
#include <systemd/sd-daemon.h>
#endif

namespace dlhandoff::service {
namespace {

#ifdef DLHANDOFF_HAVE_LIBSYSTEMD
void notify(const std::string& state) {
    // Best effort, as sd_notify(3) advises: a service must run without anybody who listens.
    ::sd_notify(0, state.c_str());
}

std::string monotonic_microseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1'000);
}
#else
void notify(const std::string&) {}

std::string monotonic_microseconds() {
    return {};
}
#endif

} // namespace

bool can_notify() noexcept {
#ifdef DLHANDOFF_HAVE_LIBSYSTEMD
    return true;
#else
    return false;
#endif
}

void notify_ready() {
    notify("READY=1");
}

void notify_reloading() {
    notify("RELOADING=1\nMONOTONIC_USEC=" + monotonic_microseconds());
}

void notify_stopping(std::chrono::milliseconds at_most) {
    constexpr std::chrono::seconds margin{10};
    notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=" +
           std::to_string(std::chrono::microseconds(at_most + margin).count()));
}

} // namespace dlhandoff::service
