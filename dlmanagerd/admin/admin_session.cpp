#include "dlmanagerd/admin/admin_session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

/// What is moved by one call: the supervisor has others to mind.
constexpr std::size_t portion = 64 * 1024;

} // namespace

admin_session::progress admin_session::read() {
    for (;;) {
        std::array<char, 4096> bytes;
        const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return progress::waits;
        if (got <= 0)
            return progress::gone;
        const std::size_t searched = request_.size();
        request_.append(bytes.data(), static_cast<std::size_t>(got));
        const std::size_t newline = request_.find('\n', searched);
        if (newline != std::string::npos)
            request_.resize(newline + 1);
        if (newline != std::string::npos || request_.size() > admin::longest_request)
            return progress::done;
    }
}

std::variant<admin::request, std::string> admin_session::request() const {
    if (request_.size() > admin::longest_request)
        return "a request has " + std::to_string(admin::longest_request) + " bytes at most";
    return admin::decode_request(request_);
}

void admin_session::begin(admin_answer with) {
    answer_ = std::move(with);
    part_ = sent_ = 0;
}

/// 0 at the end of the part.
std::size_t admin_session::next_of_answer(char* into, std::size_t most) const noexcept {
    if (part_ == answer_.parts.size())
        return answer_.text.copy(into, most, sent_);
    const ssize_t got = ::pread(answer_.parts[part_].get(), into, most, static_cast<off_t>(sent_));
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

admin_session::progress admin_session::write() {
    std::array<char, portion> bytes;
    std::size_t size = 0;
    while ((size = next_of_answer(bytes.data(), bytes.size())) == 0) {
        if (part_ == answer_.parts.size())
            return progress::done;
        ++part_;
        sent_ = 0;
    }
    ssize_t taken;
    do {
        taken = ::send(socket_.get(), bytes.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return errno == EAGAIN ? progress::waits : progress::gone;
    sent_ += static_cast<std::size_t>(taken);
    const bool last = part_ == answer_.parts.size() && sent_ == answer_.text.size();
    return last ? progress::done : progress::waits;
}

} // namespace dlhandoff::service
