#include "engine/files/file_sender.hpp"

#include "engine/client/tcp_progress.hpp"
#include "engine/files/file_table.hpp"
#include "engine/files/scattered_read.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

/// Read at once where files are copied.
constexpr std::size_t buffer_size = 128 * 1024;

file_sender::result unreadable(int error) noexcept {
    return {write_step::failed, 0, error};
}

/// After a call that has read the file and written to the client: whose error was it? A file system that is
/// not local has errors of the network, too (ENOTCONN of FUSE, ETIMEDOUT of NFS); a connection that has
/// failed can't be written to any more.
file_sender::result failed(int client, int error) noexcept {
    const write_step step = step_of_write_error(error);
    if (step == write_step::would_block || (step == write_step::client_gone && !is_connected(client)))
        return {step};
    return unreadable(error);
}

} // namespace

file_sender::result file_sender::send(int client, const shared_file& file, std::uint64_t offset,
                                      std::uint64_t count, const reading_terms& how) {
    return how.use_sendfile ? send_directly(client, file, offset, count, how.check)
                            : send_copied(client, file, offset, count, how.check);
}

file_sender::result file_sender::send_directly(int client, const shared_file& file, std::uint64_t offset,
                                               std::uint64_t count, file_check check) noexcept {
    for (int tries = 1;; ++tries) {
        switch (file.state(check)) {
        case file_state::as_offered:
            break;
        case file_state::changed:
            return {write_step::file_changed};
        case file_state::unreadable:
            return unreadable(errno);
        }
        auto at = static_cast<off_t>(offset);
        const ssize_t taken = ::sendfile(client, file.descriptor(), &at, count);
        if (taken > 0)
            return {write_step::sent, static_cast<std::uint64_t>(taken)};
        if (taken < 0 && errno != EINTR)
            return failed(client, errno);
        // None, though the file is longer: a short answer of its file system. Looking at the file's state
        // makes the kernel ask again.
        if (tries == most_fruitless_reads)
            return unreadable(taken < 0 ? EINTR : ENODATA);
    }
}

file_sender::result file_sender::send_copied(int client, const shared_file& file, std::uint64_t offset,
                                             std::uint64_t count, file_check check) {
    buffer_.resize(buffer_size);
    const auto bytes = std::span(buffer_).first(std::min<std::uint64_t>(count, buffer_size));
    scattered_read reads;
    (void)reads.add(file, offset, bytes);
    switch (reads.read(check)) {
    case scattered_read::result::read:
        break;
    case scattered_read::result::changed:
        return {write_step::file_changed};
    case scattered_read::result::failed:
        return unreadable(errno);
    }
    ssize_t taken;
    do {
        taken = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return {errno == EAGAIN ? write_step::would_block : write_step::client_gone};
    const auto sent = static_cast<std::uint64_t>(taken);
    // What it did not take is read again when there is room: nothing is kept.
    return {sent == bytes.size() ? write_step::sent : write_step::would_block, sent};
}

} // namespace dlhandoff::engine
