#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace dlhandoff::engine {

/// How a transfer ended.
enum class outcome : std::uint8_t {
    complete,      ///< the client has acknowledged every byte
    client_closed, ///< the client went before that
    stalled,       ///< the client took nothing for stall_timeout
    file_changed,  ///< a file was changed or shortened under way
    queue_timeout, ///< no turn came within queue_timeout: the client has been told so (503)
    cancelled,     ///< by the admin
    shutdown,      ///< the manager was told to end at once
    error          ///< the system failed: a read error, for one
};
[[nodiscard]] std::string_view name(outcome value) noexcept;

/// What a line of the transfer log says. Views are borrowed for the call.
struct transfer_record {
    std::chrono::system_clock::time_point time; ///< when it ended
    std::string_view id;
    request_facts facts;
    std::uint64_t file_bytes = 0;
    std::uint64_t expected = 0;  ///< response bytes, head and body, before TLS; so are the next two
    std::uint64_t sent = 0;      ///< what the kernel took
    std::uint64_t delivered = 0; ///< what the client acknowledged
    std::chrono::milliseconds queued{};
    std::chrono::milliseconds duration{}; ///< since the claim
    outcome how = outcome::complete;
    std::string tls; ///< version, suite and who seals: "TLSv1.3 TLS_AES_256_GCM_SHA384 user", or "kernel";
                     ///< empty without
    std::string_view transfer_class; ///< "default"
    std::string_view manager;        ///< "m1"
};

/// The record as one line of JSON with its newline. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string to_json_line(const transfer_record& record);

/// A transfer log: JSON lines, appended to a file (O_APPEND, so several processes may share it; each write is
/// whole lines). Lines are collected and written by flush(), once a turn of the event loop. One thread.
class transfer_log {
  public:
    /// No log: records are dropped.
    transfer_log() = default;
    /// Takes over a descriptor that is open for appending.
    explicit transfer_log(file_descriptor file) : file_(std::move(file)) {}
    /// Opens `path`, making the file with mode 0640. Throws std::system_error that names the path.
    [[nodiscard]] static transfer_log open(const std::string& path);

    void add(const transfer_record& record);
    /// Writes what has been added. A full disk costs lines, never a transfer; false once a write has failed
    /// (errno).
    bool flush() noexcept;
    [[nodiscard]] bool pending() const noexcept { return !lines_.empty(); }

  private:
    file_descriptor file_;
    std::string lines_;
};

} // namespace dlhandoff::engine
