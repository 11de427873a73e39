#pragma once

#include "engine/engine.hpp"
#include "shared/admin_protocol.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/manager_status.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dlhandoff::service {

/// What is on the board of a manager; `state` is the board's, too.
[[nodiscard]] admin::manager_report report_of(const manager_status& status, std::string name);

/// A manager's part of the answer to an admin, on its way into the memfd that came with order::report and has
/// the request in it: lines of the protocol, without an end. When it is complete, the memfd is sealed.
///
/// A list is made in slices, one a round of the loop, so that thousands of transfers don't hold it up. One
/// thread, the loop's.
class admin_report {
  public:
    /// Transfers listed in one round.
    static constexpr std::size_t slice = 200;

    /// What it says besides what the engine knows. References must outlive this.
    struct subject {
        engine::engine& engine;
        const manager_status& status;
        std::string_view name;
        std::uint64_t bytes_per_second = 0;
    };

    /// Takes the memfd over and reads the request. One that is no request gets no answer.
    admin_report(file_descriptor into, const subject& about);

    /// Goes on; true once it is complete.
    [[nodiscard]] bool go_on();

  private:
    [[nodiscard]] bool list_some();
    void take(const transfer_listing& one);
    void append(std::string_view text) noexcept;
    void seal() noexcept;

    file_descriptor into_;
    subject about_;
    admin::request request_;
    bool understood_ = false;
    std::size_t written_ = 0;
    std::string lines_; ///< of this slice
    /// With a limit: rate and line of the fastest so far; a heap, the slowest of them first.
    std::vector<std::pair<std::uint64_t, std::string>> fastest_;
};

} // namespace dlhandoff::service
