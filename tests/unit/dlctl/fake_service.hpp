#pragma once

#include "shared/admin_protocol.hpp"
#include "shared/file_descriptor.hpp"

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dlhandoff::test {

/// The service's admin socket, in a directory of its own, on a thread of its own: answers what the test says.
class fake_service {
  public:
    struct reply {
        std::string text;
        enum class then { close, hang } after = then::close; ///< hang: until the client goes
    };
    using answer = std::function<reply(const admin::request& asked)>;

    explicit fake_service(answer how);
    /// Answers status and list with samples, and everything else with an error.
    fake_service();
    ~fake_service();
    fake_service(const fake_service&) = delete;
    fake_service& operator=(const fake_service&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::vector<admin::request> requests() const;
    /// From the next request on.
    void set_answer(answer how);
    /// Nobody listens any more, but the socket is still there.
    void stop();

  private:
    void serve();
    void serve_one(int client);

    std::string directory_;
    std::string path_;
    file_descriptor listener_;
    file_descriptor stop_; ///< an eventfd
    mutable std::mutex mutex_;
    answer answer_;
    std::vector<admin::request> requests_;
    std::thread thread_;
};

} // namespace dlhandoff::test
