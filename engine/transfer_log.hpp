#pragma once

#include "engine/clock.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace dlhandoff::engine {

/// How a transfer ended.
enum class outcome : std::uint8_t {
    complete,      ///< the client has acknowledged every byte
    client_closed, ///< the client left before that
    unconfirmed,   ///< all was sent, but the client left without acknowledging the end (reset_verdict.hpp)
    stalled,       ///< the client took nothing for stall_timeout
    file_changed,  ///< a file was changed or shortened under way
    queue_timeout, ///< no turn came within queue_timeout: the client has been told so (503)
    cancelled,     ///< by the admin
    shutdown,      ///< the manager was told to end at once
    error          ///< the system failed: a read error, for one
};
[[nodiscard]] std::string_view name(outcome value) noexcept;

/// The content of one line of the transfer log. Views are borrowed for the call.
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

/// Reports lines that could not be written to a transfer log. Sent when the loss begins and when it is over,
/// not for each line.
struct transfer_log_loss {
    enum class stage : std::uint8_t {
        begun, ///< from now on lines are lost
        over,  ///< lines are written again
        closed ///< the log is closed or replaced, and lines were lost since the last report
    };
    stage now = stage::begun;
    int error = 0;           ///< errno of the last write that failed
    std::uint64_t lines = 0; ///< lost so far
};

/// What happened and what it means, as the rest of a sentence that begins with the log's name.
[[nodiscard]] std::string describe(const transfer_log_loss& loss);

/// A transfer log: JSON lines, appended to a file (O_APPEND, so several processes may share it; each write
/// has whole lines). Lines are collected, and flush() writes them once per round of the event loop. One
/// thread.
///
/// Invariant: every line in the file is whole. If the disk is full in the middle of a line, that half is cut
/// off again at once. Where that is impossible (an append-only file), or a killed process has left half a
/// line, the next line begins after a newline.
class transfer_log {
  public:
    /// Called on the thread that flushes.
    using on_loss = std::function<void(const transfer_log_loss&)>;
    /// The least time between two reports of losses, except for the end of an announced one: a nearly full
    /// disk takes short lines and refuses long ones.
    static constexpr std::chrono::seconds report_pause{10};

    /// No log: records are dropped.
    transfer_log() = default;
    /// Takes over a descriptor that is open for appending, and for reading if it is a file, as open_file()
    /// opens it.
    explicit transfer_log(file_descriptor file);
    transfer_log(transfer_log&&) noexcept = default;
    transfer_log& operator=(transfer_log&&) noexcept = default;
    ~transfer_log() = default;

    /// Opens `path`, making the file with mode 0640. Throws std::system_error that names the path.
    [[nodiscard]] static transfer_log open(const std::string& path);
    /// What open() opens; invalid, with errno, if that fails.
    [[nodiscard]] static file_descriptor open_file(const char* path) noexcept;

    void report_losses_to(on_loss listener) { on_loss_ = std::move(listener); }

    void add(const transfer_record& record);
    /// Writes what has been added. A full disk costs lines, never a transfer. False, with errno, if a write
    /// has failed.
    bool flush() noexcept;
    /// Flushes for the last time, and reports losses not yet reported.
    void close() noexcept;
    [[nodiscard]] bool pending() const noexcept { return !lines_.empty(); }

  private:
    [[nodiscard]] bool write_newline() noexcept;
    [[nodiscard]] bool take_back(std::string_view half) const noexcept;
    void note_lost(std::string_view lines, int error) noexcept;
    void note_written() noexcept;
    [[nodiscard]] bool may_report() const noexcept;
    void report(transfer_log_loss::stage now) noexcept;

    file_descriptor file_;
    std::string lines_;
    on_loss on_loss_;
    std::uint64_t lost_ = 0; ///< lines lost in the present loss, whose end has not been reported
    int error_ = 0;          ///< errno of the last loss
    std::optional<clock::time_point> reported_;
    bool announced_ = false; ///< the loss has been reported as begun
    bool torn_ = false;      ///< the file ends in half a line
};

} // namespace dlhandoff::engine
