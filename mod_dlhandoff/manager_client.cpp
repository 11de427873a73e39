#include "mod_dlhandoff/manager_client.hpp"

#include <cerrno>
#include <new>
#include <utility>

namespace dlhandoff::httpd {

manager_client::manager_client(std::string path, std::chrono::microseconds claim_timeout)
    : path_(std::move(path)), claim_timeout_(claim_timeout) {}

/// Clears up what has been answered meanwhile, without waiting. Needs the lock.
bool manager_client::manager_owes_an_answer() {
    for (connection& suspect : suspects_)
        if (suspect->settle() == manager_connection::state::idle)
            idle_.push_back(std::move(suspect));
    std::erase_if(suspects_, [](const connection& suspect) {
        return !suspect || suspect->now() == manager_connection::state::broken;
    });
    return !suspects_.empty();
}

/// The connection that was used last, since its manager is the likeliest to be alive. Needs the lock.
manager_client::connection manager_client::take_idle() {
    if (idle_.empty())
        return nullptr;
    connection last = std::move(idle_.back());
    idle_.pop_back();
    return last;
}

/// Without memory the connection ends instead: what its offer came to is known already, and must not be lost.
void manager_client::put_back(connection used) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        switch (used->now()) {
        case manager_connection::state::idle:
            idle_.push_back(std::move(used));
            break;
        case manager_connection::state::awaiting_hello:
        case manager_connection::state::awaiting_answer:
            suspects_.push_back(std::move(used));
            break;
        case manager_connection::state::broken:
            break;
        }
    } catch (const std::bad_alloc&) {
        used.reset();
    }
}

std::variant<manager_client::connection, handover> manager_client::connect_anew(clock::time_point deadline) {
    {
        const std::lock_guard lock(mutex_);
        if (clock::now() < paused_until_)
            return pause_reason_;
    }
    auto made = manager_connection::connect(path_);
    std::optional<handover> failed;
    if (auto* fresh = std::get_if<connection>(&made)) {
        failed = (*fresh)->await_hello(deadline);
        if (!failed)
            return made;
        put_back(std::move(*fresh));
    } else {
        failed = std::get<handover>(made);
    }
    const std::lock_guard lock(mutex_);
    paused_until_ = clock::now() + pause;
    pause_reason_ = *failed;
    return *failed;
}

handover manager_client::hand_over(offer& offered, std::span<const int> descriptors) {
    const clock::time_point deadline = clock::now() + claim_timeout_;
    connection used;
    {
        const std::lock_guard lock(mutex_);
        if (manager_owes_an_answer())
            return {decline_reason::manager_unresponsive, 0};
        used = take_idle();
    }
    if (used) {
        const auto result = used->hand_over(offered, descriptors, deadline);
        if (result) {
            put_back(std::move(used));
            return *result;
        }
        // The manager that this connection led to is gone, and so are the other connections to it: perhaps
        // there is a new one.
        const std::lock_guard lock(mutex_);
        idle_.clear();
    }
    auto made = connect_anew(deadline);
    if (const auto* failed = std::get_if<handover>(&made))
        return *failed;
    used = std::move(std::get<connection>(made));
    const auto result = used->hand_over(offered, descriptors, deadline);
    put_back(std::move(used));
    return result.value_or(handover{decline_reason::manager_down, ECONNRESET});
}

} // namespace dlhandoff::httpd
