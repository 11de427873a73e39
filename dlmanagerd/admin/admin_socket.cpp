#include "dlmanagerd/admin/admin_socket.hpp"

#include "dlmanagerd/admin/admin_session.hpp"
#include "shared/peer_user.hpp"
#include "shared/trusted_user.hpp"

#include <algorithm>
#include <cerrno>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <utility>
#include <variant>

namespace dlhandoff::service {
namespace {

constexpr std::chrono::milliseconds pause_length{100};

} // namespace

/// One admin's connection, as the loop knows it.
class admin_socket::session final : public engine::event_handler {
  public:
    session(admin_socket& owner, file_descriptor socket)
        : talk(std::move(socket)), deadline(owner.loop_.now() + owner.limits_.client), owner_(owner) {}
    ~session() { watch(0); }
    /// For what it waits; 0: nothing. False if the kernel refuses.
    bool watch(std::uint32_t events) noexcept {
        if (events == watched_)
            return true;
        if (watched_ != 0)
            owner_.loop_.remove(talk.socket(), *this);
        watched_ = events == 0 || owner_.loop_.add(talk.socket(), events, *this) ? events : 0;
        return watched_ == events;
    }
    void on_events(std::uint32_t) override {
        if (answering)
            owner_.reply(*this, {});
        else if (waiting)
            owner_.leave(*this);
        else
            owner_.take_request(*this);
    }

    admin_session talk;
    admin::request request;
    bool waiting = false; ///< for the managers, or for its turn with them
    bool answering = false;
    clock::time_point deadline; ///< when it is dropped

  private:
    admin_socket& owner_;
    std::uint32_t watched_ = 0;
};

admin_socket::admin_socket(engine::event_loop& loop, const board& the_board, const std::string& path,
                           std::vector<uid_t> allowed, service actions, patience limits)
    : loop_(loop), board_(the_board),
      listener_(path, "set `admin` to another path, or to \"\" for none", SOCK_STREAM),
      allowed_(std::move(allowed)), actions_(std::move(actions)), limits_(limits) {
    if (!loop_.add(listener_.descriptor(), EPOLLIN, *this))
        throw_errno("epoll_ctl(admin socket)");
}

admin_socket::~admin_socket() {
    loop_.remove(listener_.descriptor(), *this);
}

void admin_socket::on_events(std::uint32_t) {
    file_descriptor accepted(
        ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            pause();
        return;
    }
    make_place();
    auto& made = *sessions_.emplace_back(std::make_unique<session>(*this, std::move(accepted)));
    if (!made.watch(EPOLLIN))
        drop(made);
}

/// The oldest that has not asked goes first, then the oldest that doesn't hold the managers.
void admin_socket::make_place() {
    if (sessions_.size() < most_connections)
        return;
    auto oldest =
        std::ranges::find_if(sessions_, [](const auto& one) { return !one->waiting && !one->answering; });
    if (oldest == sessions_.end())
        oldest = std::ranges::find_if(sessions_, [this](const auto& one) { return one.get() != asking_; });
    drop(**oldest);
}

/// Without this the listener would stay readable, and the loop spin.
void admin_socket::pause() {
    loop_.remove(listener_.descriptor(), *this);
    listen_at_ = loop_.now() + pause_length;
}

void admin_socket::take_request(session& from) {
    switch (from.talk.read()) {
    case admin_session::progress::waits:
        return;
    case admin_session::progress::gone:
        return drop(from);
    case admin_session::progress::done:
        break;
    }
    const uid_t user = peer_user(from.talk.socket()).value_or(static_cast<uid_t>(-1));
    if (!is_trusted(user, allowed_))
        return reply(from, answer_with(admin::failure{"user " + std::to_string(user) +
                                                      " may not ask: only root, the service's own user, and "
                                                      "those in admin_users may"}));
    auto asked = from.talk.request();
    if (const auto* wrong = std::get_if<std::string>(&asked))
        return reply(from, answer_with(admin::failure{*wrong}));
    from.request = std::get<admin::request>(std::move(asked));
    if (from.request.what == admin::command::drain)
        return reply(from, answer_with(admin::draining{actions_.drain(user)}));
    from.waiting = true;
    from.deadline = clock::time_point::max();
    from.watch(EPOLLHUP);
    ask_for_next();
}

/// Who has gone before its turn takes nobody's time.
void admin_socket::leave(session& waiting) {
    if (&waiting == asking_)
        waiting.watch(0);
    else
        drop(waiting);
}

void admin_socket::ask_for_next() {
    if (asking_ != nullptr)
        return;
    const auto next = std::ranges::find_if(sessions_, [](const auto& one) { return one->waiting; });
    if (next == sessions_.end())
        return;
    asking_ = next->get();
    answer_at_ = loop_.now() + limits_.managers;
    actions_.ask_managers([this](std::uint32_t manager) {
        reports_.push_back({manager, memory_for(asking_->request)});
        return reports_.back().text.get();
    });
    look_at_reports();
}

void admin_socket::look_at_reports() {
    if (asking_ != nullptr && std::ranges::all_of(reports_, [this](const admin_part& one) {
            return one.complete() || board_.manager(one.manager).state.load() == manager_state::vacant;
        }))
        answer();
}

void admin_socket::answer() {
    session& asked = *std::exchange(asking_, nullptr);
    answer_at_ = clock::time_point::max();
    asked.waiting = false;
    admin_answer with = answer_admin(asked.request, board_, std::exchange(reports_, {}));
    if (asked.request.what == admin::command::cancel && !with.parts.empty())
        spdlog::info("{} is cancelled: user {} has asked for it", asked.request.id,
                     peer_user(asked.talk.socket()).value_or(static_cast<uid_t>(-1)));
    reply(asked, std::move(with));
    ask_for_next();
}

/// Begins an answer, or goes on with it.
void admin_socket::reply(session& to, admin_answer with) {
    if (!std::exchange(to.answering, true))
        to.talk.begin(std::move(with));
    if (to.talk.write() != admin_session::progress::waits || !to.watch(EPOLLOUT))
        return drop(to);
    to.deadline = loop_.now() + limits_.client;
}

void admin_socket::drop(session& ended) {
    sessions_.remove_if([&ended](const auto& one) { return one.get() == &ended; });
}

void admin_socket::run_due() {
    const auto now = loop_.now();
    if (asking_ != nullptr && now >= answer_at_)
        answer();
    sessions_.remove_if([now](const auto& one) { return now >= one->deadline; });
    if (now >= listen_at_)
        listen_at_ =
            loop_.add(listener_.descriptor(), EPOLLIN, *this) ? clock::time_point::max() : now + pause_length;
}

admin_socket::clock::time_point admin_socket::next_deadline() const noexcept {
    auto next = std::min(answer_at_, listen_at_);
    for (const auto& one : sessions_)
        next = std::min(next, one->deadline);
    return next;
}

} // namespace dlhandoff::service
