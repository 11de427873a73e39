#include "engine/transfer_log.hpp"

#include "shared/json_line.hpp"

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace dlhandoff::engine {
namespace {

constexpr char newline = '\n';

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
    case outcome::unconfirmed:
        return "unconfirmed";
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

std::string describe(const transfer_log_loss& loss) {
    const std::string lines = std::to_string(loss.lines) + (loss.lines == 1 ? " line" : " lines");
    switch (loss.now) {
    case transfer_log_loss::stage::begun:
        return std::string("can't be written (") + std::strerror(loss.error) +
               "): its lines are lost until it can; downloads go on";
    case transfer_log_loss::stage::over:
        return "is written again; " + lines + (loss.lines == 1 ? " was lost" : " were lost");
    case transfer_log_loss::stage::closed:
        break;
    }
    return "is closed; " + lines + (loss.lines == 1 ? " was lost" : " were lost") +
           ", since it could not be written (" + std::strerror(loss.error) + ")";
}

file_descriptor transfer_log::open_file(const char* path) noexcept {
    constexpr int flags = O_APPEND | O_CREAT | O_CLOEXEC;
    // Reading is for the file's end only. A FIFO must not be held open for reading: it would fill up when
    // nobody else reads it.
    struct stat status {};
    const bool other = ::stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    file_descriptor file(other ? -1 : ::open(path, O_RDWR | flags, 0640));
    if (!file && (other || errno == EACCES))
        file.reset(::open(path, O_WRONLY | flags, 0640));
    return file;
}

transfer_log transfer_log::open(const std::string& path) {
    file_descriptor file = open_file(path.c_str());
    if (!file)
        throw_errno(("transfer log " + path).c_str());
    return transfer_log(std::move(file));
}

transfer_log::transfer_log(file_descriptor file) : file_(std::move(file)) {
    struct stat status {};
    char last = newline;
    torn_ = ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
            ::pread(file_.get(), &last, 1, status.st_size - 1) == 1 && last != newline;
}

void transfer_log::add(const transfer_record& record) {
    if (file_)
        lines_ += to_json_line(record);
}

bool transfer_log::flush() noexcept {
    if (lines_.empty())
        return true;
    const std::string_view lines = lines_;
    std::size_t done = 0;
    bool written = !torn_ || write_newline();
    while (written && done < lines.size()) {
        const ssize_t taken = ::write(file_.get(), lines.data() + done, lines.size() - done);
        if (taken > 0)
            done += static_cast<std::size_t>(taken);
        else
            written = taken < 0 && errno == EINTR;
    }
    const int error = errno;
    if (written) {
        note_written();
    } else {
        const std::size_t whole = lines.substr(0, done).rfind(newline) + 1; // 0 where there is none
        if (whole != done)
            torn_ = !take_back(lines.substr(whole, done - whole));
        note_lost(lines.substr(whole), error);
    }
    lines_.clear();
    errno = error;
    return written;
}

void transfer_log::close() noexcept {
    flush();
    if (lost_ != 0)
        report(transfer_log_loss::stage::closed);
    lost_ = 0;
}

bool transfer_log::write_newline() noexcept {
    ssize_t taken;
    do {
        taken = ::write(file_.get(), &newline, 1);
    } while (taken < 0 && errno == EINTR);
    torn_ = taken != 1;
    return !torn_;
}

/// Cuts the file's end off if that is `half`. Between that look and the cut, another process's line could get
/// in only if space came back within the same microsecond.
bool transfer_log::take_back(std::string_view half) const noexcept {
    struct stat status {};
    const auto size = static_cast<off_t>(half.size());
    if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < size)
        return false;
    const off_t begin = status.st_size - size;
    char part[512];
    for (std::size_t at = 0; at < half.size();) {
        const std::size_t length = std::min(sizeof part, half.size() - at);
        if (::pread(file_.get(), part, length, begin + static_cast<off_t>(at)) !=
                static_cast<ssize_t>(length) ||
            half.substr(at, length) != std::string_view(part, length))
            return false;
        at += length;
    }
    return ::ftruncate(file_.get(), begin) == 0;
}

void transfer_log::note_lost(std::string_view lines, int error) noexcept {
    lost_ += static_cast<std::uint64_t>(std::ranges::count(lines, newline));
    error_ = error;
    if (!announced_ && may_report()) {
        announced_ = true;
        report(transfer_log_loss::stage::begun);
    }
}

void transfer_log::note_written() noexcept {
    if (lost_ == 0 || !(announced_ || may_report()))
        return;
    announced_ = false;
    report(transfer_log_loss::stage::over);
    lost_ = 0;
}

bool transfer_log::may_report() const noexcept {
    return !reported_ || clock::now() - *reported_ >= report_pause;
}

void transfer_log::report(transfer_log_loss::stage now) noexcept try {
    reported_ = clock::now();
    if (on_loss_)
        on_loss_({now, error_, lost_});
} catch (const std::exception&) { // no memory: costs a line of the owner's log
}

} // namespace dlhandoff::engine
