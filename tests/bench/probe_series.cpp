#include "tests/bench/probe_series.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <poll.h>
#include <sys/socket.h>

namespace dlhandoff::bench {

void probe_series::begin(clock::time_point now) {
    one_probe one;
    one.began = now;
    one.socket = connect_to(options_.server, 0, options_.source);
    one.waits_for = POLLOUT;
    if (options_.https)
        one.tls = std::make_unique<tls_request>(one.socket.get(), "GET " + options_.path +
                                                                      " HTTP/1.1\r\nHost: main.test\r\n"
                                                                      "Connection: close\r\n\r\n");
    open_.push_back(std::move(one));
}

/// True once the request is on its way.
bool probe_series::ask(one_probe& one, outcome& result) {
    result = outcome::waits;
    if (one.tls) {
        const auto progress = one.tls->go_on();
        if (progress == tls_request::progress::failed)
            result = outcome::failed;
        one.waits_for = one.tls->waits_for();
        return progress == tls_request::progress::sent;
    }
    const std::string request =
        "GET " + options_.path + " HTTP/1.1\r\nHost: main.test\r\nConnection: close\r\n\r\n";
    if (::send(one.socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        result = outcome::failed;
        return false;
    }
    return true;
}

probe_series::outcome probe_series::go_on(one_probe& one) {
    if (!one.asked) {
        outcome result;
        if (!ask(one, result))
            return result;
        one.asked = true;
        one.waits_for = POLLIN;
    }
    for (;;) {
        std::array<char, 16384> buffer;
        const ssize_t got =
            one.tls ? one.tls->read(buffer) : ::recv(one.socket.get(), buffer.data(), buffer.size(), 0);
        if (got > 0) {
            one.answer.append(buffer.data(), static_cast<std::size_t>(got));
            continue;
        }
        const bool ended = got == 0 || (one.tls && one.tls->has_ended());
        if (ended)
            return one.answer.starts_with("HTTP/1.1 200 ") ? outcome::answered : outcome::failed;
        const bool waits = one.tls ? one.tls->waits() : errno == EAGAIN;
        return waits ? outcome::waits : outcome::failed;
    }
}

/// Until something can go on, at most until then.
void probe_series::wait_until(clock::time_point next) {
    std::vector<pollfd> sockets;
    for (const one_probe& one : open_)
        sockets.push_back({one.socket.get(), one.waits_for, 0});
    const auto left = std::max<clock::duration>(next - clock::now(), {});
    const auto whole = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec pause{whole / 1'000'000'000, whole % 1'000'000'000};
    ::ppoll(sockets.data(), sockets.size(), &pause, nullptr);
    auto socket = sockets.begin();
    for (auto one = open_.begin(); one != open_.end(); ++socket) {
        const outcome result = socket->revents != 0 ? go_on(*one) : outcome::waits;
        const auto took = clock::now() - one->began;
        const bool late = took >= options_.time_limit;
        if (result == outcome::answered && !late)
            answered_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(took));
        else if (result == outcome::failed)
            ++failed_;
        else if (late)
            ++timed_out_;
        one = result == outcome::waits && !late ? std::next(one) : open_.erase(one);
    }
}

void probe_series::run_for(std::chrono::milliseconds duration) {
    const auto until = clock::now() + duration;
    auto next = clock::now();
    while (next < until || !open_.empty()) {
        for (const auto now = clock::now(); next <= now && next < until; next += options_.interval)
            begin(now);
        auto wake = next < until ? next : clock::now() + options_.time_limit;
        if (!open_.empty()) // the oldest is late first
            wake = std::min(wake, open_.front().began + options_.time_limit);
        wait_until(wake);
    }
}

std::vector<std::chrono::microseconds> probe_series::answered() const {
    auto sorted = answered_;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
}

} // namespace dlhandoff::bench
