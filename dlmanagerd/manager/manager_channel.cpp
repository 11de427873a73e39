#include "dlmanagerd/manager/manager_channel.hpp"

#include <cstring>
#include <span>

namespace dlhandoff::service {
namespace {

template <class Value>
std::optional<Value> receive(int channel, received_message& buffer, bool& gone) {
    switch (receive_message(channel, sizeof(Value), buffer)) {
    case receive_result::would_block:
        return std::nullopt;
    case receive_result::peer_gone:
    case receive_result::failed:
        gone = true;
        return std::nullopt;
    case receive_result::message:
        break;
    }
    if (buffer.bytes.size() != sizeof(Value)) {
        gone = true; // not the same program: there is no talking to it
        return std::nullopt;
    }
    Value value;
    std::memcpy(&value, buffer.bytes.data(), sizeof value);
    return value;
}

} // namespace

channel_ends make_channel() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        throw_errno("socketpair");
    return {file_descriptor(ends[0]), file_descriptor(ends[1])};
}

send_result send_order(int channel, const order& what, int descriptor) {
    return send_message(channel, std::as_bytes(std::span(&what, 1)),
                        {&descriptor, descriptor >= 0 ? std::size_t{1} : 0});
}

send_result send_note(int channel, note what) {
    return send_message(channel, std::as_bytes(std::span(&what, 1)));
}

std::optional<received_order> receive_order(int channel, received_message& buffer, bool& gone) {
    const auto what = receive<order>(channel, buffer, gone);
    if (!what)
        return std::nullopt;
    received_order result{*what, {}};
    if (!buffer.descriptors.empty())
        result.descriptor = std::move(buffer.descriptors.front());
    buffer.descriptors.clear();
    return result;
}

std::optional<note> receive_note(int channel, received_message& buffer, bool& gone) {
    return receive<note>(channel, buffer, gone);
}

} // namespace dlhandoff::service
