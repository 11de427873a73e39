#include "engine/client/connection_return.hpp"

#include "shared/descriptor_passing.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/peer_user.hpp"
#include "shared/trusted_user.hpp"
#include "shared/unix_address.hpp"
#include "shared/wire.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::engine {
namespace {

return_result fail(const return_policy& policy, const return_failure& failure) {
    if (policy.on_failure)
        policy.on_failure(failure);
    return return_result::failed;
}

} // namespace

std::string describe(const return_failure& failure) {
    const std::string where = "httpd's return socket " + failure.path;
    constexpr auto after = ": connections that waited for their clients' next requests end";
    switch (failure.why) {
    case return_failure::reason::not_there:
        return "nobody listens at " + where + " any more, since httpd has stopped" + after;
    case return_failure::reason::stranger:
        return "user id " + std::to_string(failure.listener) + ", who listens at " + where +
               ", is not trusted with connections" + after;
    case return_failure::reason::system:
        break;
    }
    return where + " can't be used, " + std::strerror(failure.error) + after;
}

bool can_return(std::string_view path) noexcept {
    // All offers name the same one, nearly always: a system call for each would be in vain.
    static std::atomic<std::uint64_t> last{0};
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto second =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    const std::uint64_t this_one = (std::hash<std::string_view>()(path) ^ second) | 1;
    if (last.load(std::memory_order_relaxed) == this_one)
        return true;
    // connect(2) to a Unix socket takes the right to write it (unix(7)).
    const auto address = unix_address::of(path);
    const bool may = address && ::access(address->path().data(), W_OK) == 0;
    if (may)
        last.store(this_one, std::memory_order_relaxed);
    return may;
}

return_result return_connection(int client, std::uint32_t requests, const std::string& path,
                                const return_policy& policy) {
    using reason = return_failure::reason;
    const auto address = unix_address::of(path);
    if (!address)
        return fail(policy, {reason::system, path, errno});
    const file_descriptor httpd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!httpd || !address->connect(httpd.get())) {
        const int error = errno;
        if (error == EMFILE || error == ENFILE)
            return return_result::no_descriptor;
        if (error == EAGAIN || error == EINTR)
            return return_result::busy;
        const bool stopped = error == ENOENT || error == ECONNREFUSED;
        return fail(policy, {stopped ? reason::not_there : reason::system, path, error});
    }
    const auto listener = peer_user(httpd.get());
    if (!listener)
        return fail(policy, {reason::system, path, errno});
    if (!is_trusted(*listener, policy.trusted))
        return fail(policy, {reason::stranger, path, 0, *listener});
    if (send_message(httpd.get(), encode(return_message{requests}), {&client, 1}) == send_result::sent)
        return return_result::returned;
    if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) // too many on their way (unix(7))
        return return_result::busy;
    const bool stopped = errno == EPIPE || errno == ECONNRESET;
    return fail(policy, {stopped ? reason::not_there : reason::system, path, errno});
}

} // namespace dlhandoff::engine
