#include "dlmanagerd/supervisor/session_dispatch.hpp"

#include "dlmanagerd/service_log.hpp"
#include "shared/manager_choice.hpp"
#include "shared/trusted_user.hpp"
#include "shared/wire.hpp"

#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <utility>

namespace dlhandoff::service {
namespace {

using engine::clock;

constexpr std::chrono::milliseconds no_descriptor_pause{100};
/// A manager that is awake makes room in its channel with each turn of its loop.
constexpr std::chrono::milliseconds busy_pause{1};
/// So that a flood of connections does not keep managers' notes waiting.
constexpr int accepted_at_once = 64;

file_descriptor make_reserve() noexcept {
    return file_descriptor(::eventfd(0, EFD_CLOEXEC));
}

} // namespace

session_dispatch::session_dispatch(engine::event_loop& loop, const board& the_board, const std::string& path,
                                   std::vector<uid_t> allowed, pass_on pass, clock::duration patience)
    : loop_(loop), board_(the_board), listener_(path), allowed_(std::move(allowed)), pass_(std::move(pass)),
      patience_(patience), reserve_(make_reserve()) {
    if (!loop_.add(listener_.descriptor(), EPOLLIN, *this))
        throw_errno("epoll_ctl(listening socket)");
}

session_dispatch::~session_dispatch() {
    if (!paused_until_)
        loop_.remove(listener_.descriptor(), *this);
}

void session_dispatch::on_events(std::uint32_t) {
    for (int i = 0; i < accepted_at_once; ++i) {
        file_descriptor accepted(
            ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (accepted) {
            admit(std::move(accepted));
            if (kept_)
                return;
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EINTR:
        case ECONNABORTED:
            continue;
        default:
            warn(no_descriptor_, loop_.now(),
                 "cannot take a connection from httpd: {}; downloads go on, and httpd serves what it can't "
                 "hand off. At the limit of descriptors, raise LimitNOFILE",
                 std::strerror(errno));
            turn_away_one();
            return;
        }
    }
}

void session_dispatch::turn_away_one() {
    // Without this the listener would stay readable, and the loop spin, while the worker waits for its hello.
    reserve_.reset();
    const file_descriptor unwanted(::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    const int error = errno;
    if (!unwanted && error != EAGAIN && error != ECONNABORTED)
        pause(no_descriptor_pause);
}

void session_dispatch::pause(clock::duration length) {
    if (!paused_until_)
        loop_.remove(listener_.descriptor(), *this);
    paused_until_ = loop_.now() + length;
}

void session_dispatch::run_due() {
    if (!reserve_)
        reserve_ = make_reserve();
    if (!paused_until_ || loop_.now() < *paused_until_)
        return;
    if (auto kept = std::exchange(kept_, std::nullopt))
        pass_or_keep(std::move(*kept));
    if (kept_)
        return;
    if (loop_.add(listener_.descriptor(), EPOLLIN, *this))
        paused_until_.reset();
    else
        pause(no_descriptor_pause);
}

clock::time_point session_dispatch::next_deadline() const noexcept {
    return paused_until_.value_or(clock::time_point::max());
}

void session_dispatch::admit(file_descriptor socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        throw_errno("getsockopt(SO_PEERCRED)");
    if (!is_trusted(peer.uid, allowed_))
        warn(not_allowed_, loop_.now(),
             "refused a connection from process {} of user id {}, who is not in allow_users; add the user if "
             "it is httpd's",
             peer.pid, peer.uid);
    else
        pass_or_keep({std::move(socket), peer});
}

void session_dispatch::pass_or_keep(session one) {
    const send_result passed = pass_to_best(one);
    if (passed == send_result::sent) {
        busy_since_.reset();
        return;
    }
    if (passed == send_result::would_block) {
        if (!busy_since_) {
            busy_since_ = loop_.now();
            spdlog::debug("all managers are busy: connections from httpd wait for them");
        }
        if (loop_.now() < *busy_since_ + patience_) {
            kept_ = std::move(one);
            return pause(busy_pause);
        }
        (void)send_message(one.socket.get(), encode(answer{0, false, refusal::full}));
    }
    warn(no_manager_, loop_.now(),
         "refused a connection from httpd process {}: no manager can take it now; httpd serves what it "
         "can't hand off",
         one.peer.pid);
}

send_result session_dispatch::pass_to_best(const session& one) {
    auto result = send_result::peer_gone;
    manager_set tried;
    while (const auto best = choose_manager(board_, clock::now(), tried)) {
        // Better to wait for a busy one than to ask one that will refuse.
        if (result == send_result::would_block && !best->room)
            return result;
        const send_result passed = pass_(best->index, one.socket.get(), one.peer);
        if (passed == send_result::sent)
            return passed;
        if (passed == send_result::would_block)
            result = passed;
        tried.set(best->index);
    }
    // One that is about to live finds the connection in its channel.
    for (std::uint32_t index = 0; index < board_.managers(); ++index) {
        if (board_.manager(index).state.load(std::memory_order_relaxed) != manager_state::starting)
            continue;
        const send_result passed = pass_(index, one.socket.get(), one.peer);
        if (passed == send_result::sent)
            return passed;
        if (passed == send_result::would_block)
            result = passed;
    }
    return result;
}

} // namespace dlhandoff::service
