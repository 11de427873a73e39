#include "engine/client/idle_connections.hpp"

#include "engine/client/client_input.hpp"

#include <algorithm>
#include <exception>
#include <sys/socket.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr std::chrono::milliseconds first_pause{10};
constexpr std::chrono::milliseconds longest_pause{500};
/// How long httpd may be too busy to accept, while the client waits for its answer.
constexpr std::chrono::seconds longest_return{60};

} // namespace

class idle_connections::connection final : public event_handler, public deadline_hook {
  public:
    connection(idle_connections& owner, const return_terms& back)
        : owner_(owner), path_(owner.shared_path(back.path)), keep_alive_(back.keep_alive_ms),
          requests_(back.requests) {}

    ~connection() {
        if (watched_)
            owner_.loop_.remove(client_.get(), *this);
    }

    void start(file_descriptor client) {
        client_ = std::move(client);
        watched_ = true;
        owner_.waiting_.set(*this, owner_.loop_.now() + keep_alive_);
        look();
    }

    /// Whether the client's next request is there; empty lines are none.
    [[nodiscard]] bool has_request(int client) noexcept {
        return peek_request(client, empty_lines_) == client_input::bytes && !has_too_many_empty_lines();
    }

    /// Its next request is there: the loop need not watch it.
    void start_unwatched(file_descriptor client) {
        client_ = std::move(client);
        start_returning();
        give_back();
    }

    /// A next request that is there goes back; otherwise the connection ends. Destroys it, perhaps, like all
    /// that follow.
    void end_waiting() {
        keep_alive_ = std::chrono::milliseconds::zero();
        look();
    }

    /// The same without lingering: there are too many. With nothing unread, closing resets nothing.
    void make_room() {
        if (!has_request(client_.get()))
            return owner_.close(*this);
        start_returning();
        owner_.going_.set(*this, owner_.loop_.now());
    }

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

    void on_deadline() {
        switch (state_) {
        case state::waiting:
            return end_waiting();
        case state::returning:
            return give_back();
        case state::leaving:
            return owner_.close(*this);
        }
    }

  private:
    friend class idle_connections;
    enum class state : std::uint8_t { waiting, returning, leaving };

    void become(state next) noexcept {
        owner_.heap_of(*this).remove(*this);
        state_ = next;
    }

    /// An httpd worker would wait for the request behind them, so they never go back.
    [[nodiscard]] bool has_too_many_empty_lines() const noexcept { return empty_lines_ > most_empty_lines; }

    void look() {
        const client_input input = peek_request(client_.get(), empty_lines_);
        if (has_too_many_empty_lines())
            return leave();
        switch (input) {
        case client_input::none:
            if (keep_alive_ == std::chrono::milliseconds::zero())
                leave();
            return;
        case client_input::bytes:
            start_returning();
            return give_back();
        case client_input::ended:
        case client_input::failed:
            return owner_.close(*this);
        }
    }

    void start_returning() noexcept {
        become(state::returning);
        give_up_ = owner_.loop_.now() + longest_return;
    }

    [[nodiscard]] return_result try_return() noexcept try {
        return return_connection(client_.get(), requests_, *path_, owner_.policy_);
    } catch (const std::exception&) { // no memory to tell what has failed
        return return_result::failed;
    }

    void give_back() {
        auto result = try_return();
        if (result == return_result::no_descriptor && owner_.close_waiting(1))
            result = try_return();
        switch (result) {
        case return_result::returned:
            return owner_.close(*this);
        case return_result::failed:
            return leave();
        case return_result::busy:
        case return_result::no_descriptor:
            break;
        }
        const auto now = owner_.loop_.now();
        if (now >= give_up_)
            return leave();
        owner_.going_.set(*this, std::min(now + pause_, give_up_));
        pause_ = std::min(2 * pause_, longest_pause);
    }

    void leave() {
        become(state::leaving);
        ::shutdown(client_.get(), SHUT_WR);
        if (!watched_)
            watched_ = owner_.loop_.add(client_.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, *this);
        owner_.going_.set(*this, owner_.loop_.now() + linger);
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
    std::chrono::milliseconds keep_alive_; ///< 0: the time is up
    std::chrono::milliseconds pause_ = first_pause;
    clock::time_point give_up_{};
    std::uint32_t requests_;
    file_descriptor client_;
    state state_ = state::waiting;
    std::uint8_t empty_lines_ = 0; ///< since it began to wait
    bool watched_ = false;         ///< by the loop
};

idle_connections::idle_connections(event_loop& loop, return_policy policy, std::size_t most)
    : loop_(loop), policy_(std::move(policy)), most_(most) {}

idle_connections::~idle_connections() {
    close_all();
}

void idle_connections::take(file_descriptor client, const return_terms& back,
                            event_handler& before) noexcept {
    std::unique_ptr<connection> taken;
    try {
        taken = std::make_unique<connection>(*this, back);
        for (deadline_heap<connection>* each : {&waiting_, &going_})
            each->reserve(waiting_.size() + going_.size() + 1);
    } catch (const std::exception&) { // no memory: closed, as if its time were up
        return loop_.remove(client.get(), before);
    }
    if (taken->has_request(client.get())) {
        loop_.remove(client.get(), before);
        return taken.release()->start_unwatched(std::move(client));
    }
    // Edge-triggered: what is there already counts as an edge.
    if (!loop_.pass_on(client.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, before, *taken))
        return loop_.remove(client.get(), *taken);
    taken.release()->start(std::move(client));
    if (most_ != 0 && waiting_.size() > most_)
        waiting_.earliest().make_room();
}

void idle_connections::run_due() {
    for (deadline_heap<connection>* each : {&waiting_, &going_})
        while (!each->empty() && each->earliest().deadline <= loop_.now())
            each->earliest().on_deadline();
}

clock::time_point idle_connections::next_deadline() const noexcept {
    auto next = clock::time_point::max();
    for (const deadline_heap<connection>* each : {&waiting_, &going_})
        if (!each->empty())
            next = std::min(next, each->earliest().deadline);
    return next;
}

bool idle_connections::close_waiting(std::size_t count) {
    if (waiting_.empty())
        return false;
    for (; count > 0 && !waiting_.empty(); --count)
        waiting_.earliest().make_room();
    return true;
}

void idle_connections::close_all() noexcept {
    for (deadline_heap<connection>* each : {&waiting_, &going_})
        while (!each->empty())
            close(each->earliest());
}

deadline_heap<idle_connections::connection>& idle_connections::heap_of(const connection& one) noexcept {
    return one.state_ == connection::state::waiting ? waiting_ : going_;
}

void idle_connections::close(connection& one) noexcept {
    const std::unique_ptr<connection> owner(&one);
    heap_of(one).remove(one);
}

std::shared_ptr<const std::string> idle_connections::shared_path(std::string_view path) {
    if (!last_path_ || *last_path_ != path)
        last_path_ = std::make_shared<const std::string>(path);
    return last_path_;
}

} // namespace dlhandoff::engine
