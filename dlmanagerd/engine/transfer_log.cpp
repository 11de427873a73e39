#include "dlmanagerd/engine/transfer_log.hpp"

#include <cerrno>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <system_error>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

/// RFC 3339, UTC, milliseconds.
std::string to_rfc3339(std::chrono::system_clock::time_point time) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(milliseconds).count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[40];
    const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &parts);
    const auto fraction = static_cast<unsigned>(milliseconds.count() % 1000);
    std::string result(text, length);
    result += static_cast<char>('0' + fraction / 100);
    result += static_cast<char>('0' + fraction / 10 % 10);
    result += static_cast<char>('0' + fraction % 10);
    result += 'Z';
    return result;
}

} // namespace

std::string_view name(outcome value) noexcept {
    switch (value) {
    case outcome::complete:
        return "complete";
    case outcome::client_closed:
        return "client-closed";
    case outcome::stalled:
        return "stalled";
    case outcome::file_changed:
        return "file-changed";
    case outcome::cancelled:
        return "cancelled";
    case outcome::shutdown:
        return "shutdown";
    case outcome::error:
        return "error";
    }
    return "error";
}

std::string to_json_line(const transfer_record& record) {
    const request_facts& facts = record.facts;
    const nlohmann::ordered_json line{
        {"time", to_rfc3339(record.time)},
        {"id", record.id},
        {"client", facts.client},
        {"client_key", facts.client_key},
        {"user", facts.user},
        {"vhost", facts.vhost},
        {"method", facts.method},
        {"uri", facts.uri},
        {"status", facts.status},
        {"range", facts.range},
        {"file_bytes", record.file_bytes},
        {"expected", record.expected},
        {"sent", record.sent},
        {"delivered", record.delivered},
        {"queued_ms", record.queued.count()},
        {"duration_ms", record.duration.count()},
        {"outcome", name(record.how)},
        {"tls", record.tls},
        {"class", record.transfer_class},
        {"tag", facts.tag},
        {"manager", record.manager},
    };
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

transfer_log transfer_log::open(const std::string& path) {
    file_descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file)
        throw_errno(("transfer log " + path).c_str());
    return transfer_log(std::move(file));
}

void transfer_log::add(const transfer_record& record) {
    if (file_)
        lines_ += to_json_line(record);
}

bool transfer_log::flush() noexcept {
    bool written = true;
    for (std::size_t done = 0; done < lines_.size();) {
        const ssize_t taken = ::write(file_.get(), lines_.data() + done, lines_.size() - done);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0) {
            written = false;
            break;
        }
        done += static_cast<std::size_t>(taken);
    }
    lines_.clear();
    return written;
}

} // namespace dlhandoff::engine
