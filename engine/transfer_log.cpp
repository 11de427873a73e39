#include "engine/transfer_log.hpp"

#include "shared/json_line.hpp"

#include <cerrno>
#include <concepts>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

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

/// A line of JSON. Not a tree of nlohmann::json: its destructor allocates, and ends the process if it can't.
class flat_object {
  public:
    void add(std::string_view name, std::string_view text) { append(name, to_text(text)); }
    void add(std::string_view name, std::integral auto number) { append(name, std::to_string(number)); }
    [[nodiscard]] std::string close() && {
        text_ += "}\n";
        return std::move(text_);
    }

  private:
    void append(std::string_view name, std::string_view value) {
        text_ += text_.empty() ? "{\"" : ",\"";
        text_ += name;
        text_ += "\":";
        text_ += value;
    }
    std::string text_;
};

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
    case outcome::queue_timeout:
        return "queue-timeout";
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
    flat_object line;
    line.add("time", to_rfc3339(record.time));
    line.add("id", record.id);
    line.add("client", facts.client);
    line.add("client_key", facts.client_key);
    line.add("user", facts.user);
    line.add("vhost", facts.vhost);
    line.add("method", facts.method);
    line.add("uri", facts.uri);
    line.add("status", facts.status);
    line.add("range", facts.range);
    line.add("file_bytes", record.file_bytes);
    line.add("expected", record.expected);
    line.add("sent", record.sent);
    line.add("delivered", record.delivered);
    line.add("queued_ms", record.queued.count());
    line.add("duration_ms", record.duration.count());
    line.add("outcome", name(record.how));
    line.add("tls", record.tls);
    line.add("class", record.transfer_class);
    line.add("tag", facts.tag);
    line.add("manager", record.manager);
    return std::move(line).close();
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
