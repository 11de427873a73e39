#include "dlmanagerd/engine/idle_connections.hpp"

#include "dlmanagerd/engine/client_input.hpp"

#include <algorithm>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::chrono::milliseconds first_pause{10};
constexpr std::chrono::milliseconds longest_pause{500};

} // namespace

class idle_connections::connection final : public event_handler, public deadline_hook {
  public:
    connection(idle_connections& owner, file_descriptor client, const return_terms& back)
        : owner_(owner), path_(owner.shared_path(back.path)), keep_alive_(back.keep_alive_ms),
          requests_(back.requests), client_(std::move(client)) {}

    ~connection() { owner_.loop_.remove(client_.get(), *this); }

    void start() {
        owner_.deadlines_.set(*this, owner_.loop_.now() + keep_alive_);
        look();
    }

    /// Waits no longer than until now.
    void hurry() {
        if (state_ == state::waiting)
            look();
        // else it is about to go anyway
    }

    /// Destroys the connection, perhaps.
    void on_events(std::uint32_t) override {
        switch (state_) {
        case state::waiting:
            return look();
        case state::returning:
            // Its request has come; whether the client has gone since, httpd will see.
            return;
        case state::leaving:
            return read_away();
        }
    }

    /// Likewise.
    void on_deadline() {
        switch (state_) {
        case state::waiting:
            return leave();
        case state::returning:
            return give_back();
        case state::leaving:
            return owner_.close(*this);
        }
    }

    [[nodiscard]] int client() const noexcept { return client_.get(); }

  private:
    enum class state : std::uint8_t { waiting, returning, leaving };

    void look() {
        switch (peek_input(client_.get())) {
        case client_input::none:
            if (owner_.stopped_)
                leave();
            return;
        case client_input::bytes:
            state_ = state::returning;
            give_up_ = owner_.loop_.now() + keep_alive_;
            return give_back();
        case client_input::ended:
        case client_input::failed:
            return owner_.close(*this);
        }
    }

    void give_back() {
        switch (return_connection(client_.get(), requests_, *path_, owner_.policy_)) {
        case return_result::returned:
            return owner_.close(*this);
        case return_result::failed:
            return leave();
        case return_result::busy:
            break;
        }
        const auto now = owner_.loop_.now();
        if (now >= give_up_)
            return leave();
        owner_.deadlines_.set(*this, std::min(now + pause_, give_up_));
        pause_ = std::min(2 * pause_, longest_pause);
    }

    void leave() {
        state_ = state::leaving;
        ::shutdown(client_.get(), SHUT_WR);
        owner_.deadlines_.set(*this, owner_.loop_.now() + linger);
        read_away();
    }

    /// Closing with something unread would reset the connection.
    void read_away() {
        const client_input last = drop_input(client_.get());
        if (last == client_input::ended || last == client_input::failed)
            owner_.close(*this);
    }

    idle_connections& owner_;
    std::shared_ptr<const std::string> path_;
    std::chrono::milliseconds keep_alive_;
    std::chrono::milliseconds pause_ = first_pause;
    clock::time_point give_up_{};
    std::uint32_t requests_;
    file_descriptor client_;
    state state_ = state::waiting;
};

idle_connections::idle_connections(event_loop& loop, return_policy policy)
    : loop_(loop), policy_(std::move(policy)) {}

idle_connections::~idle_connections() {
    close_all();
}

void idle_connections::take(file_descriptor client, const return_terms& back, event_handler& before) {
    const int number = client.get();
    auto taken = std::make_unique<connection>(*this, std::move(client), back);
    // Edge-triggered: what is there already counts as an edge.
    if (!loop_.pass_on(number, EPOLLIN | EPOLLRDHUP | EPOLLET, before, *taken))
        return;
    ++count_;
    taken.release()->start();
}

void idle_connections::run_due() {
    while (!deadlines_.empty() && deadlines_.earliest().deadline <= loop_.now())
        deadlines_.earliest().on_deadline();
}

clock::time_point idle_connections::next_deadline() const noexcept {
    return deadlines_.empty() ? clock::time_point::max() : deadlines_.earliest().deadline;
}

void idle_connections::stop() {
    stopped_ = true;
    for (connection* one : deadlines_.all())
        one->hurry();
}

void idle_connections::close_some(std::size_t count) noexcept {
    for (; count > 0 && !deadlines_.empty(); --count)
        close(deadlines_.earliest());
}

void idle_connections::close_all() noexcept {
    close_some(count_);
}

void idle_connections::close(connection& one) noexcept {
    const std::unique_ptr<connection> owner(&one);
    deadlines_.remove(one);
    --count_;
}

std::shared_ptr<const std::string> idle_connections::shared_path(std::string_view path) {
    if (!last_path_ || *last_path_ != path)
        last_path_ = std::make_shared<const std::string>(path);
    return last_path_;
}

} // namespace dlhandoff::engine
