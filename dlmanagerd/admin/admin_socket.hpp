#pragma once

#include "dlmanagerd/admin/admin_answer.hpp"
#include "dlmanagerd/listening_socket.hpp"
#include "engine/event_loop.hpp"
#include "shared/board.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace dlhandoff::service {

/// The socket for the service's admin (SOCK_STREAM, mode 0660; admin_protocol.hpp): takes requests, has each
/// manager write its part of the answer, and answers (admin_answer.hpp). Root and the service's user may ask,
/// and those who are allowed, if they get through the file's mode. The service's group alone is not enough:
/// it is httpd's too, and so that of any script that httpd runs.
///
/// Managers work on one request after another; one that does not report in time is left out of the answer.
/// Nothing here waits for a client: who neither asks nor reads for a while is dropped. One thread, the
/// loop's.
class admin_socket final : public engine::event_handler {
  public:
    using clock = engine::clock;

    /// Connections at the same time.
    static constexpr std::size_t most_connections = 16;

    /// What the supervisor does for it. Must not destroy this socket.
    struct service {
        /// Gives each manager that lives an order to report, with a descriptor of its own from `open`; -1 if
        /// there is none.
        std::function<void(const std::function<int(std::uint32_t manager)>& open)> ask_managers;
        /// Soon takes no new downloads and ends with the last; the number of managers.
        std::function<std::uint32_t(uid_t asked_by)> drain;
    };
    struct patience {
        std::chrono::milliseconds managers{1'000}; ///< until all have reported
        std::chrono::milliseconds client{10'000};  ///< until its request is here, and for each bit it reads
    };

    /// Listens. References must outlive this. Throws as listening_socket does, and std::system_error.
    admin_socket(engine::event_loop& loop, const board& the_board, const std::string& path,
                 std::vector<uid_t> allowed, service actions, patience limits);
    ~admin_socket();

    /// Who may ask from now on.
    void allow(std::vector<uid_t> users) { allowed_ = std::move(users); }

    /// A manager says that it has reported, or has ended: looks whether all have.
    void look_at_reports();

    /// Does what is due; to be called after each round of the loop.
    void run_due();
    [[nodiscard]] clock::time_point next_deadline() const noexcept;

    void on_events(std::uint32_t events) override;

  private:
    class session;

    void make_place();
    void take_request(session& from);
    void leave(session& waiting);
    void ask_for_next();
    void answer();
    void reply(session& to, admin_answer with);
    void drop(session& ended);
    void pause();

    engine::event_loop& loop_;
    const board& board_;
    listening_socket listener_;
    std::vector<uid_t> allowed_;
    service actions_;
    patience limits_;
    std::list<std::unique_ptr<session>> sessions_;
    session* asking_ = nullptr; ///< whose request the managers work on; none: nobody's
    std::vector<admin_part> reports_;
    clock::time_point answer_at_ = clock::time_point::max();
    clock::time_point listen_at_ = clock::time_point::max(); ///< after a pause; for want of descriptors
};

} // namespace dlhandoff::service
