#include "tests/bench/asking_clients.hpp"

#include "tests/bench/response_head.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace dlhandoff::bench {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t tag_and_type = 17;
constexpr std::size_t largest_record = 16384;
/// Until another client has its turn.
constexpr unsigned records_a_turn = 64;
constexpr std::size_t all_there_is = 1U << 30;

} // namespace

asking_clients::asking_clients(options asked)
    : options_(std::move(asked)), request_("GET " + options_.path + " HTTP/1.1\r\nHost: main.test\r\n" +
                                           (options_.close ? "Connection: close\r\n" : "") + "\r\n"),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)), clients_(options_.count) {
    for (unsigned i = 0; i < options_.count; ++i)
        connect(i);
}

void asking_clients::connect(unsigned number) {
    client& one = clients_[number];
    one.tls.reset();
    one.socket = connect_to(options_.server);
    one.now = state::asks;
    one.whole = 0;
    ++counts_.connections;
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.u32 = number;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, one.socket.get(), &event) != 0)
        throw_errno("epoll_ctl");
}

void asking_clients::start_again(unsigned number, bool failed) {
    counts_.failures += failed ? 1 : 0;
    if (counts_.failures > 100 + counts_.responses)
        throw std::runtime_error("more downloads fail than succeed");
    connect(number);
}

void asking_clients::ask(unsigned number) {
    client& one = clients_[number];
    if (options_.https) {
        if (!one.tls)
            one.tls = std::make_unique<tls_request>(one.socket.get(), request_);
        const auto progress = one.tls->go_on();
        if (progress == tls_request::progress::failed)
            return start_again(number, true);
        if (progress == tls_request::progress::waits)
            return;
    } else if (::send(one.socket.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
               static_cast<ssize_t>(request_.size())) {
        return start_again(number, true);
    }
    one.head.clear();
    one.came = 0;
    one.left = one.whole;
    one.record_came = one.record_left = 0;
    one.now = options_.https && one.whole != 0 ? state::drops_records : state::awaits_head;
}

void asking_clients::read_head(unsigned number) {
    client& one = clients_[number];
    std::array<char, largest_record> buffer; // a whole record: nothing decrypted stays behind
    const ssize_t got =
        options_.https ? one.tls->read(buffer) : ::recv(one.socket.get(), buffer.data(), 4096, 0);
    if (got <= 0) {
        const bool waits = options_.https ? got < 0 && one.tls->waits() : got < 0 && errno == EAGAIN;
        if (!waits) // between two responses it may end
            start_again(number, got < 0 || !one.head.empty() || one.whole == 0);
        return;
    }
    one.head.append(buffer.data(), static_cast<std::size_t>(got));
    counts_.bytes += static_cast<std::uint64_t>(got);
    const auto head = parse_head(one.head);
    if (!head)
        return;
    if (head->status != 200)
        return start_again(number, true);
    one.whole = head->size + head->content_length;
    one.came = one.head.size();
    one.left = one.whole - one.came;
    if (head->closes)
        one.now = state::drops_all;
    else if (one.left == 0)
        end_response(number);
    else
        one.now = options_.https ? state::drops_records : state::drops_body;
}

void asking_clients::drop(unsigned number) {
    client& one = clients_[number];
    const ssize_t got = ::recv(one.socket.get(), nullptr, all_there_is, MSG_TRUNC);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0) {
        one.came += static_cast<std::uint64_t>(got);
        counts_.bytes += static_cast<std::uint64_t>(got);
        if (one.now == state::drops_body && one.came >= one.whole)
            end_response(number);
        return;
    }
    // Its end, which must not come too early.
    const bool whole = one.now == state::drops_all && one.came >= one.whole;
    counts_.responses += whole ? 1 : 0;
    start_again(number, !whole);
}

void asking_clients::drop_records(unsigned number) {
    client& one = clients_[number];
    for (unsigned records = 0; records < records_a_turn;) {
        const bool in_header = one.record_left == 0;
        const ssize_t got = in_header ? ::recv(one.socket.get(), one.record.data() + one.record_came,
                                               one.record.size() - one.record_came, 0)
                                      : ::recv(one.socket.get(), nullptr, one.record_left, MSG_TRUNC);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            return start_again(number, one.left != one.whole); // between two responses it may end
        if (!in_header) {
            one.record_left -= static_cast<std::size_t>(got);
        } else if ((one.record_came += static_cast<std::size_t>(got)) == one.record.size()) {
            one.record_came = 0;
            one.record_left = one.record[3] * 256U + one.record[4];
            const std::uint64_t content = one.record_left - std::min(one.record_left, tag_and_type);
            if (content > one.left)
                return start_again(number, true);
            one.left -= content;
            counts_.bytes += content;
            ++records;
        }
        if (one.left == 0 && one.record_left == 0)
            return end_response(number);
    }
}

void asking_clients::end_response(unsigned number) {
    ++counts_.responses;
    ask(number);
}

void asking_clients::on_event(unsigned number) {
    client& one = clients_[number];
    switch (one.now) {
    case state::asks: {
        epoll_event event{};
        event.events = EPOLLIN; // connected; from now on it is the server that lets wait
        event.data.u32 = number;
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, one.socket.get(), &event);
        return ask(number);
    }
    case state::awaits_head:
        return read_head(number);
    case state::drops_records:
        return drop_records(number);
    case state::drops_body:
    case state::drops_all:
        return drop(number);
    }
}

void asking_clients::forget_gaps() {
    worst_gap_ = {};
    for (client& one : clients_)
        one.last_event = clock::now();
}

std::chrono::nanoseconds asking_clients::worst_gap() const {
    std::chrono::nanoseconds worst = worst_gap_;
    for (const client& one : clients_)
        worst = std::max<std::chrono::nanoseconds>(worst, clock::now() - one.last_event);
    return worst;
}

void asking_clients::run_for(std::chrono::milliseconds duration) {
    constexpr auto patience = std::chrono::seconds(10);
    const auto until = clock::now() + duration;
    auto last_event = clock::now();
    std::array<epoll_event, 64> events;
    for (auto now = clock::now(); now < until; now = clock::now()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
        const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       static_cast<int>(left.count()));
        now = clock::now();
        if (ready > 0)
            last_event = now;
        else if (now - last_event > patience)
            throw std::runtime_error("nothing has come for 10 s");
        for (int i = 0; i < ready; ++i) {
            const unsigned number = events[static_cast<std::size_t>(i)].data.u32;
            worst_gap_ = std::max<std::chrono::nanoseconds>(worst_gap_, now - clients_[number].last_event);
            clients_[number].last_event = now;
            on_event(number);
        }
    }
}

} // namespace dlhandoff::bench
