#include "shared/descriptor_passing.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace dlhandoff {
namespace {

constexpr std::size_t control_size = CMSG_SPACE(sizeof(int) * max_descriptors);

struct control_buffer {
    alignas(cmsghdr) std::array<char, control_size> bytes;
};

void take_descriptors(const msghdr& message, std::vector<file_descriptor>& into) {
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
         control = CMSG_NXTHDR(const_cast<msghdr*>(&message), control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
            into.emplace_back(number);
        }
    }
}

} // namespace

send_result send_message(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) {
    if (descriptors.size() > max_descriptors) {
        errno = EINVAL;
        return send_result::failed;
    }
    iovec data{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    control_buffer control;
    if (!descriptors.empty()) {
        const std::size_t size = descriptors.size_bytes();
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(header), descriptors.data(), size);
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return send_result::sent;
        switch (errno) {
        case EINTR:
            continue;
        case EAGAIN:
            return send_result::would_block;
        case EPIPE:
        case ECONNRESET:
        case ENOTCONN:
            return send_result::peer_gone;
        default:
            return send_result::failed;
        }
    }
}

receive_result receive_message(int socket, std::size_t limit, received_message& into) {
    into.descriptors.clear();
    into.bytes = {};
    if (into.buffer.size() < limit)
        into.buffer.resize(limit);
    iovec data{into.buffer.data(), limit};
    control_buffer control;
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    ssize_t received;
    do {
        received = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        if (errno == EAGAIN)
            return receive_result::would_block;
        return errno == ECONNRESET || errno == ENOTCONN ? receive_result::peer_gone : receive_result::failed;
    }
    take_descriptors(message, into.descriptors);
    into.bytes = std::span(into.buffer).first(static_cast<std::size_t>(received));
    into.truncated = (message.msg_flags & MSG_TRUNC) != 0;
    into.descriptors_lost = (message.msg_flags & MSG_CTRUNC) != 0;
    // Every message of the protocol has a header, so an empty one is the end of file (recv(2)).
    if (received == 0 && into.descriptors.empty())
        return receive_result::peer_gone;
    return receive_result::message;
}

} // namespace dlhandoff
