#include "tests/bench/slow_clients.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <thread>

namespace dlhandoff::bench {

using engine::clock;

void slow_clients::connect() {
    began_ = clock::now();
    clients_.resize(options_.count);
    connect_more(began_);
}

void slow_clients::connect_more(clock::time_point now) {
    const std::chrono::duration<double> since = now - began_;
    const unsigned due =
        options_.connects_a_second == 0
            ? options_.count
            : std::min(options_.count, 1 + static_cast<unsigned>(since.count() * options_.connects_a_second));
    for (; connected_ < due; ++connected_) {
        client& one = clients_[connected_];
        one.socket = connect_to(options_.server, options_.receive_buffer, options_.source);
        // Their reads are spread evenly over the pause.
        one.next_read = options_.connects_a_second != 0
                            ? now
                            : now + connected_ * std::chrono::nanoseconds(options_.pause) / options_.count;
    }
}

void slow_clients::end(client& one) {
    one.socket.reset();
    ++ended_;
}

/// False: not yet.
bool slow_clients::ask(client& one) {
    if (!options_.https) {
        const ssize_t sent =
            ::send(one.socket.get(), options_.request.data(), options_.request.size(), MSG_NOSIGNAL);
        return sent >= 0; // else not connected yet
    }
    if (!one.opening)
        one.opening = std::make_unique<tls_request>(one.socket.get(), options_.request);
    const auto now = one.opening->go_on();
    if (now == tls_request::progress::waits)
        return false;
    one.opening.reset();
    if (now == tls_request::progress::failed)
        end(one);
    return now == tls_request::progress::sent;
}

void slow_clients::read(client& one, clock::time_point now) {
    if (!one.asked) {
        one.asked = ask(one);
        asked_ += one.asked ? 1 : 0;
        one.opening_pause = std::min(2 * one.opening_pause, options_.pause);
    }
    if (!one.asked)
        return;
    const auto most = options_.bytes_per_second * static_cast<std::uint64_t>(options_.pause.count()) / 1000;
    const ssize_t got = ::recv(one.socket.get(), nullptr, most, MSG_TRUNC);
    if (got > 0) {
        received_ += static_cast<std::uint64_t>(got);
        if (one.last_data != clock::time_point())
            worst_gap_ = std::max(worst_gap_, now - one.last_data);
        one.last_data = now;
    } else if (got == 0 || errno != EAGAIN) {
        end(one);
    }
}

void slow_clients::read_for(std::chrono::milliseconds duration) {
    const auto until = clock::now() + duration;
    for (auto now = clock::now(); now < until; now = clock::now()) {
        connect_more(now);
        auto next = until;
        for (client& one : clients_) {
            if (!one.socket)
                continue;
            if (one.next_read <= now) {
                read(one, now);
                one.next_read =
                    std::max(one.next_read + (one.asked ? options_.pause : one.opening_pause), now);
            }
            next = std::min(next, one.next_read);
        }
        // In steps of a few milliseconds: a wake-up for each of 2,000 clients would cost more than their
        // reads.
        std::this_thread::sleep_until(std::max(next, now + std::chrono::milliseconds(2)));
    }
}

unsigned slow_clients::streaming() const {
    const auto since = clock::now() - std::max<clock::duration>(std::chrono::seconds(2), 3 * options_.pause);
    return static_cast<unsigned>(std::count_if(clients_.begin(), clients_.end(), [&](const client& one) {
        return one.socket && one.last_data > since;
    }));
}

} // namespace dlhandoff::bench
